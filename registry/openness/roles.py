"""Which stage did what for a model: told by what it read and wrote, whatever it is called.

    training       it wrote the chain of checkpoints, or the weights, and did not just copy them
    preprocessing  what the training read came of it
    evaluation     it wrote figures
    inference      it read the weights and wrote figures, so it ran the model
    tools          it wrote the tokenizer

A stage that has a file among its outputs and among its dependencies copied it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

from registry.project.makers import Makers
from registry.records import layout
from registry.records.kinds import TOKENIZERS
from registry.records.listing import Listings
from registry.records.openness_record import EvidenceFile
from registry.records.run import Measured, StageRun, Stages

CODE = frozenset((
    ".py", ".pyx", ".ipynb", ".sh", ".r", ".rmd", ".jl", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".rs", ".go",
    ".java", ".scala", ".kt", ".m", ".sql", ".js", ".ts", ".lua", ".swift", ".cs", ".pl", ".rb",
))  # fmt: skip
"""How the names of files of source code end."""


class Roles:
    """The stages of a release by what they did."""

    def __init__(
        self, stages: Stages, digests: Mapping[str, str], weights: Collection[str], listings: Listings
    ) -> None:
        """digests: SHA-256 of each file of the release by its path.  weights: those of its paths that are weights.
        listings: what lies in the stages' directories; of those that nobody lists, only the whole counts."""
        self._stages, self._listings = stages.stages, listings
        figures = [path for path in digests if path.startswith(f"{layout.FIGURES}/")]
        tokenizers = [path for path in TOKENIZERS if path in digests]
        released = {digests[path] for path in weights if path in digests}
        self.training = self._makers({digests[layout.CHECKPOINTS]} if layout.CHECKPOINTS in digests else set())
        self.training += tuple(one for one in self._makers(released) if one not in self.training)
        self.preprocessing = self._before(self.training)
        self.evaluation = self._makers({digests[path] for path in (layout.EVALUATION, *figures) if path in digests})
        self.inference = tuple(one for one in self.evaluation if released & self._digests(one.run.deps))
        self.tools = self._makers({digests[path] for path in tokenizers})

    def _makers(self, wanted: set[str]) -> tuple[StageRun, ...]:
        """The stages that wrote one of the files with the digests `wanted`, and did not read it."""
        return tuple(one for one in self._stages if self._wrote(one, wanted))

    def _wrote(self, one: StageRun, wanted: set[str]) -> bool:
        found = wanted & self._digests(one.run.outs)
        return bool(found and found - self._digests(one.run.deps))

    def _digests(self, measured: Collection[Measured]) -> set[str]:
        return {sha256 for item in measured for sha256 in self._listings.known_digests(item)}

    def code(self, stages: Collection[StageRun]) -> tuple[EvidenceFile, ...]:
        """The source code that `stages` read from the release's git commit, by path."""
        found = {path: sha256 for one in stages for path, sha256 in self._committed(one) if is_code(path)}
        return tuple(EvidenceFile(path=path, sha256=sha256, at="source") for path, sha256 in sorted(found.items()))

    def _committed(self, one: StageRun) -> Iterator[tuple[str, str]]:
        committed = set(one.committed)
        for dep in filter(self._listings.know, one.run.deps):
            if dep.path in committed or one.committed_inside(dep.path):
                yield from (
                    (path, sha)
                    for path, sha in self._listings.inside(dep)
                    if dep.path in committed or path in committed
                )

    def _before(self, stages: tuple[StageRun, ...]) -> tuple[StageRun, ...]:
        """The stages that wrote something that `stages` read, or that those before them read."""
        makers = Makers({out.path: one.run.stage for one in self._stages for out in one.run.outs})
        by_name = {one.run.stage: one for one in self._stages}
        found = {one.run.stage for one in stages}
        waiting = list(stages)
        while waiting:
            reads = waiting.pop().run.deps
            new = {maker for dep in reads for maker in makers.touching(dep.path).values()} - found
            found |= new
            waiting += [by_name[name] for name in new]
        return tuple(one for one in self._stages if one.run.stage in found and one not in stages)


def named(stages: Collection[StageRun]) -> str:
    """Stages, by name, in half a line."""
    names = [one.run.stage for one in stages]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{'stage' if len(names) == 1 else 'stages'} {', '.join(names[:3])}{more}"


def is_code(path: str) -> bool:
    """Whether a file is source code, by its name."""
    return PurePosixPath(path).suffix.lower() in CODE
