"""Which part of a project a release has to do with: the stages that its model came of, and those beside them.

A stage belongs to a model where it shares a stage with what the model came of: the one that evaluates it, say, or that
draws its curves. One that came of another released model, and not of this one, does not. Whole files count: where one
stage of a dvc.yaml belongs to the model, its lock is released, and so each stage of the lock is stated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from registry.project import dvc_index
from registry.project.dvc_index import Index
from registry.project.makers import Makers
from registry.records import addresses
from registry.release.config import ReleaseConfig, other_models


class Scope:
    """The stages of a project that a release has to do with."""

    def __init__(self, index: Index, outputs: Collection[str], others: Collection[str] = ()) -> None:
        """index: the project.  outputs: what is released.  others: the models of its other releases."""
        self._index, self._outputs, self._others = index, outputs, others

    @cached_property
    def stages(self) -> frozenset[str]:
        """Their addresses; all that there are where no stage wrote what is released."""
        makers = Makers({out: stage.address for stage in self._index.stages for out in stage.outs})
        behind = _behind(self._index, makers)
        ours, theirs = (
            {stage for path in paths for stage in makers.touching(path).values()}
            for paths in (self._outputs, self._others)
        )
        if not ours:
            return frozenset(behind)
        mine, others = ({stage for maker in side for stage in behind[maker]} for side in (ours, theirs))
        alone, foreign = mine - others, others - mine
        found = set(mine)
        for came_of in behind.values():
            of_another = came_of & foreign and not came_of & alone
            reads_another = came_of & theirs and not came_of & ours
            if came_of & mine and not of_another and not reads_another:
                found |= came_of
        return frozenset(found)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Where their dvc.yaml files are, POSIX from the root, sorted; "" is the root itself."""
        return tuple(sorted({addresses.split(stage)[0] for stage in self.stages}))

    @cached_property
    def index(self) -> Index:
        """The project without other stages, and without their metrics and plots."""
        makers = Makers({out: stage.address for stage in self._index.stages for out in stage.outs})

        def within(paths: Iterable[str]) -> tuple[str, ...]:
            wrote = {path: set(makers.touching(path).values()) for path in paths}
            return tuple(path for path, stages in wrote.items() if not stages or stages & self.stages)

        return replace(
            self._index,
            stages=tuple(stage for stage in self._index.stages if stage.address in self.stages),
            metrics=within(self._index.metrics),
            plots=within(self._index.plots),
        )


def of(root: Path, config: ReleaseConfig) -> Scope:
    """That of the release that `config` says, of the project at `root`. Raises as `dvc_index.read` does."""
    index = dvc_index.read(root)
    outputs = [config.model, *([config.output] if index.maker(config.output) else [])]
    return Scope(index, outputs, other_models(root, config))


def _behind(index: Index, makers: Makers) -> Mapping[str, set[str]]:
    """By address, a stage and all that it came of."""
    reads = {
        stage.address: {maker for dep in stage.deps for maker in makers.touching(dep).values()}
        for stage in index.stages
    }
    found: dict[str, set[str]] = {}
    for address in reads:
        met, waiting = {address}, deque([address])
        while waiting:
            new = reads[waiting.popleft()] - met
            met |= new
            waiting += new
        found[address] = met
    return found
