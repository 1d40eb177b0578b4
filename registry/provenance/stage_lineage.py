"""The statements of a pipeline's stages: what each read must be what another wrote, from the weights back to the data.

A stage is held to dvc.lock and params.yaml (same command, settings, dependencies and outputs), the lock to dvc.yaml, in
which no template is evaluated; to the commit of the release, and to what the makers of its dependencies state. What
nobody measured, or nobody states, is UNKNOWN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from registry import strict_yaml
from registry.attest.statement import Statement
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.project import dvc_lock, dvc_yaml, locked_stages
from registry.project.makers import Makers
from registry.project.templates import MARK
from registry.provenance import claims, slsa
from registry.provenance.claims import Digests, need
from registry.records import layout, listing
from registry.records.addresses import slug
from registry.records.kinds import weights_in
from registry.records.listing import Listings
from registry.records.release_record import ReleaseRecord
from registry.records.run import Measured, Run, StageRun, Stages, lies_in, touches

Link = tuple[str, Callable[[], str]]
"""What is linked with what, and a function that says what was found or raises."""
RECORDS = (
    layout.DATA_SUMMARY, layout.DATA_ROWS, layout.DATA_TABLE, layout.TOKENS, layout.CHECKPOINTS, layout.METRICS,
    layout.ENVIRONMENT, layout.EVALUATION, layout.HARNESS, layout.BASE,
)  # fmt: skip
"""Files of a release that some stage must have written, beside the weights."""
HOW = {
    "ran": "ran in the maintainer's working copy",
    "restored": "not run there: taken from a cache or a remote of DVC, with the record of the run that made it",
}
RECORD = "glasshouse record in the stage's command measures it: docs/how-to/record.md"
INSTEAD = "ask the maintainer to bring it into the project: dvc import-url PLACE, and that file in deps"
FROM_SOMEWHERE = "ask the maintainer to commit it, or to let a stage write it, and to name it by its own path in deps"
MAX_FOLDERS = 1000
"""Folders of a project in which stages stand."""
LISTED = "every listing <- its parts"
ENDS = "weights <- every stage <- data manifest"
INPUTS = "weights <- every stage <- its inputs"
"""The same where there is no data manifest: back to what no stage wrote."""


class Gap(VerificationError):
    """Two records of one release do not fit together."""

    code = "lineage-gap"

    def __init__(self, found: str) -> None:
        super().__init__(found, mend="do not trust the release; report it to its maintainer")


class Line:
    """The pipeline of one release, read as far as it is asked for, and no part of it twice."""

    def __init__(self, root: Path, statements: Mapping[str, Statement], digests: Digests) -> None:
        """statements: the verified ones by short name.  digests: SHA-256 of every file by path."""
        self._root, self._statements, self._digests = root, statements, digests
        self._said: dict[str, tuple[StageRun, str]] = {}
        self._settings: dict[str, Any] = {}
        self.listings = Listings.at(root, digests, frozenset(digests.values()))

    def links(self) -> Iterator[Link]:
        """A link for each stage that dvc.lock names or a statement speaks of, and one from the weights to the data."""
        names: dict[str, str] = {}  # by what their statements are called
        with suppress(GlasshouseError):  # each link below says it
            names = {slug(name): name for name in self.locked}
        stated = {name.removeprefix(layout.STAGE) for name in self._statements if name.startswith(layout.STAGE)}
        for name in sorted({*names.values(), *(stated - names.keys())}):
            yield f"stage {name}", partial(self.stage, name)
        if any(path.startswith(f"{layout.LISTINGS}/") for path in self._digests):
            yield LISTED, self.listed
        yield (ENDS if layout.DATA_SUMMARY in self._digests else INPUTS), self.ends

    @cached_property
    def folders(self) -> list[str]:
        """Where the project has its locks, POSIX from its root; "" is the root itself."""
        below = self._root / layout.PIPELINES
        found = [path.parent.relative_to(below).as_posix() for path in sorted(below.rglob(dvc_lock.LOCK))]
        if len(found) > MAX_FOLDERS:
            raise Unavailable(f"it has {len(found)} locks, more than {MAX_FOLDERS}", mend="ask the maintainer")
        return found if found and not (self._root / layout.LOCK).is_file() else ["", *found]

    @cached_property
    def lock(self) -> dvc_lock.Lock:
        """All locks as one. Raises GlasshouseError where one is none, or where there is none."""
        return dvc_lock.merged(
            dvc_lock.read_lock(self._of_project(folder, dvc_lock.LOCK), folder) for folder in self.folders
        )

    def listed(self) -> str:
        """Each listing is, part by part, of the digest that it is named by, and a stage's record names that, too."""
        named = {
            item.sha256 for known in self.recorded.values() for item in (*known.run.deps, *known.run.outs)
            if not item.listed and item.files is not None
        }  # fmt: skip
        if other := sorted(self.listings.parts.keys() - named):
            raise Gap(f"no stage read or wrote a directory sha256:{other[0]}, which is listed")
        count = sum(1 for sha256 in self.listings.parts for _ in self.listings.rows(sha256, sha256))
        return f"{count} files in {len(self.listings.parts)} directories, whose digests {layout.STAGES} has"

    def check_listed(self, orphans: Sequence[str]) -> None:
        """Raise Unavailable where `orphans`, which no stage is known to have written, may lie in an unlisted output."""
        outs = (out for run in self.runs.values() for out in run.outs)
        if unlisted := sorted({out.name for out in outs if not self.listings.know(out)}):
            raise Unavailable(
                f"whether a stage wrote {', '.join(orphans[:3])} is not known: the files of {', '.join(unlisted[:3])} "
                "are too many to be listed in its record",
                mend=listing.TOO_MANY,
            )

    def _of_project(self, folder: str, name: str) -> Path:
        return need(self._root, layout.of_project(f"{folder}/{name}" if folder else name))

    @cached_property
    def _record(self) -> ReleaseRecord:
        return ReleaseRecord.read(need(self._root, layout.RECORD))

    @cached_property
    def weights(self) -> frozenset[str]:
        """The files from which a loader takes weights. Raises InputError where one cannot be read."""
        return weights_in(self._root, self._digests)

    def _params(self, path: str) -> Any:
        """The settings of the project's params.yaml at `path`."""
        if path not in self._settings:
            self._settings[path] = strict_yaml.read(need(self._root, layout.of_project(path)), aliases=True)
        return self._settings[path]

    @cached_property
    def plan(self) -> dvc_yaml.Pipeline:
        """All dvc.yaml as one. The directory of a stage is not a template where its run tells what that stands for."""
        plan = dvc_yaml.merged(
            [dvc_yaml.read(self._of_project(folder, dvc_yaml.FILE), folder) for folder in self.folders]
        )
        folders = {
            name: locked_stages.folder(plan, stage, self.recorded[name].run)
            for name, stage in self.lock.stages.items()
            if name in plan and MARK in plan.folder(name) and name in self.recorded
        }
        return plan.located({name: folder for name, folder in folders.items() if folder is not None})

    @cached_property
    def placed(self) -> dvc_lock.Lock:
        """dvc.lock, its paths from the project's root."""
        return self.plan.placed(self.lock)

    @cached_property
    def locked(self) -> dict[str, dvc_lock.LockedStage]:
        """The stages of dvc.lock that there must be statements of."""
        return {stage.name: stage for stage in locked_stages.writing(self.placed)}

    @cached_property
    def recorded(self) -> dict[str, StageRun]:
        """stages.json, by name."""
        return {known.run.stage: known for known in Stages.read(need(self._root, layout.STAGES)).stages}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """What the statements say, of those that say anything sensible."""
        found = {}
        for name in self.locked:
            try:
                found[name] = self.said(name)[0].run
            except GlasshouseError:
                continue  # its own link says it
        return found

    @cached_property
    def makers(self) -> Makers:
        """Which stage wrote which output, by dvc.lock."""
        return locked_stages.makers(self.locked.values())

    @cached_property
    def stated(self) -> dict[tuple[str, str], Measured]:
        """What the statements say that a stage, by name, wrote at a path."""
        return {(name, out.path): out for name, run in self.runs.items() for out in run.outs}

    @cached_property
    def parents(self) -> dict[str, set[str]]:
        """By a stage's name, those that it read from."""
        return {
            name: {maker for dep in run.deps for maker in self.makers.touching(dep.path).values()} - {name}
            for name, run in self.runs.items()
        }

    def said(self, name: str) -> tuple[StageRun, str]:
        """The run that the statement of the stage `name` speaks of, and the commit. Raises Unavailable without one."""
        if name not in self._said:
            statement = self._statements.get(f"{layout.STAGE}{slug(name)}")
            if statement is None:
                raise Unavailable(f"no verified statement of the stage {name}", mend="ask the maintainer for one")
            self._said[name] = slsa.stage_run(statement)
        return self._said[name]

    def stage(self, name: str) -> str:
        """The statement of one stage fits the release, its lock, and the statements of those it read from."""
        known, commit = self.said(name)
        run, stage = known.run, self.locked.get(name)
        if stage is None or run.stage != name:
            raise Gap(f"the statement speaks of the stage {run.stage}, which dvc.lock does not have in this place")
        expected = self._record.source.commit
        if commit != expected:
            raise Gap(f"it was made from commit {commit[:40]}, the release from {expected}")
        if self.recorded.get(name) != known:
            raise Gap(f"it says something else of the stage than {layout.STAGES} does")
        if slsa.renamed(self._statements[f"{layout.STAGE}{slug(name)}"]) != claims.of_stage(known, self._record):
            raise Gap(f"it says more of the stage than {layout.STAGES} does")
        self._as_locked(run, stage)
        self._as_set(run)
        made = self._as_made(run)
        if known.evidence == "unrecorded":
            raise Unavailable(
                f"nobody measured what it read: DVC's lock alone says it, and its {len(run.outs)} outputs are as they "
                "were at the release",
                mend=RECORD,
            )
        if known.outside:
            told = ", ".join(f"{row.place} (DVC goes by {row.key})" for row in known.outside[:5])
            raise Unavailable(
                f"it read what is not in the project, and nobody measured it: {told[:500]}"
                f"{f' and {len(known.outside) - 5} more' if len(known.outside) > 5 else ''}",
                mend=INSTEAD,
            )
        if nowhere := list(self._nowhere(known)):
            raise Unavailable(
                f"it read what neither the commit has nor a stage wrote: {', '.join(nowhere[:5])}"
                f"{f' and {len(nowhere) - 5} more' if len(nowhere) > 5 else ''}",
                mend=FROM_SOMEWHERE,
            )
        return (
            f"{HOW[known.evidence]}, sha256:{run.digest[:16]}…: {len(run.deps)} dependencies ({made} by other stages, "
            f"{len(known.committed)} in the commit{_by_dvc(known)}) did not change meanwhile; {len(run.outs)} outputs"
        )

    def ends(self) -> str:
        """A chain of stages leads from the one that made the weights to the one that made the data manifest."""
        if absent := sorted(self.locked.keys() - self.runs.keys()) or not self.runs:
            raise Unavailable(f"no statement to go by of {absent or 'any stage'}", mend="ask the maintainer for them")
        weights = [file.path for file in self._record.weights]
        made = {path: self._origins(path) for path in (*weights, *RECORDS) if path in self._digests}
        if foreign := [path for path in weights if path not in made]:
            raise Gap(f"{layout.RECORD} names {', '.join(foreign)}, which the release does not have")
        if orphans := sorted(path for path, names in made.items() if not names):
            self.check_listed(orphans)
            raise Gap(f"no stage states that it wrote {', '.join(orphans)}")
        ends = made.get(layout.DATA_SUMMARY)
        if not ends:
            return self._inputs({name for path in weights for name in made[path]})
        route: list[str] = []
        for path in weights:
            route = self._route(made[path], ends)
            if not route:
                makers = ", ".join(sorted(made[path]))
                raise Gap(f"{path} was made by {makers}: no dependency leads from there to the data manifest's stage")
            if unmeasured := [name for name in route if self.said(name)[0].evidence == "unrecorded"]:
                raise Unavailable(
                    f"{' <- '.join(route)} fits, but nobody measured what {', '.join(unmeasured)} read", mend=RECORD
                )
        return f"{' <- '.join(route)}; {len(made)} files of the release are theirs"

    def came_from(self, sha256: str) -> str:
        """The stage that wrote the directory with that digest, from which the weights came. Raises Gap for none."""
        if absent := sorted(self.locked.keys() - self.runs.keys()) or not self.runs:
            raise Unavailable(f"no statement to go by of {absent or 'any stage'}", mend="ask the maintainer for them")
        wrote = {name for name, run in self.runs.items() if any(out.sha256 == sha256 for out in run.outs)}
        if not wrote:
            raise Gap(f"no stage states that it wrote sha256:{sha256}")
        for file in self._record.weights:
            behind = {above for name in self._origins(file.path) for above in self._ancestors(name)}
            if not wrote & behind:
                raise Gap(f"no dependency leads from {file.path} to {', '.join(sorted(wrote))}, which wrote it")
        return ", ".join(sorted(wrote))

    def _inputs(self, makers: set[str]) -> str:
        """What the stages behind the weights, which `makers` wrote, read that no stage wrote. No manifest tells it."""
        if not makers:
            raise Unavailable("the release names no weights", mend="ask the maintainer what it releases")
        behind = sorted(makers.union(*(self._ancestors(name) for name in makers)))
        known = [self.said(name)[0] for name in behind]
        if unmeasured := [one.run.stage for one in known if one.evidence == "unrecorded"]:
            raise Unavailable(f"nobody measured what {', '.join(unmeasured)} read", mend=RECORD)
        if nowhere := sorted({path for one in known for path in self._nowhere(one)}):
            raise Unavailable(f"nobody knows where {', '.join(nowhere[:5])} came from", mend=FROM_SOMEWHERE)
        if outside := sorted({row.place for one in known for row in one.outside}):
            raise Unavailable(f"nobody measured {', '.join(outside[:5])[:500]}, outside the project", mend=INSTEAD)
        ours = {path for one in known for path in one.committed}
        rows = {row.path: row for one in known for row in one.tracked}
        data = f" and {len(rows)} that its .dvc files name ({', '.join(sorted(rows)[:3])})" if rows else ""
        return (
            f"made by {', '.join(behind)}, of {len(ours)} inputs that the commit has{data}; there is no data manifest"
        )

    def _as_locked(self, run: Run, stage: dvc_lock.LockedStage) -> None:
        if run.command != stage.command:
            raise Gap(f"it ran {run.command[:200]!r}, dvc.lock has {stage.command[:200]!r}")
        read, written = set(locked_stages.read(stage)), set(locked_stages.written(stage))
        if other := sorted((read - {item.path for item in run.deps}) | (written ^ {item.path for item in run.outs})):
            raise Gap(f"{', '.join(other[:3])}: named in dvc.lock or in the statement, and not in the other")
        if other := sorted(f"{path}: {key}" for path, key in _settings(run.params) ^ _settings(stage.params)):
            raise Gap(f"{', '.join(other[:3])[:200]}: a setting in dvc.lock or in the statement, and not in the other")
        if stage.outside != self.recorded[stage.name].outside:
            raise Gap("what it read outside the project: in dvc.lock or in the statement, and not in the other")
        if unlike := list(self.plan.unlike(self.lock.stages[stage.name])):
            raise Gap(f"{', '.join(unlike[:3])[:300]}: in dvc.lock or in dvc.yaml, and not in the other")

    def _as_set(self, run: Run) -> None:
        """The settings are those of params.yaml, where the release has it; of other files it tells nothing."""
        for path, values in run.params.items():
            place = layout.of_project(path)
            if path != dvc_yaml.PARAMS and not (path.endswith(f"/{dvc_yaml.PARAMS}") and place in self._digests):
                continue
            for key, value in values.items():
                try:
                    found = dvc_yaml.lookup(self._params(path), key)
                except KeyError:
                    raise Gap(f"the setting {key[:100]} is not in {place}") from None
                if found != value:
                    raise Gap(f"the setting {key[:100]} is not that of {place}")

    def _as_made(self, run: Run) -> int:
        """How many of the dependencies other stages made, each as its maker states it."""
        count, unknown = 0, []
        for dep in run.deps:
            parts = self.makers.touching(dep.path)
            count += bool(parts)
            for path, maker in parts.items():
                try:
                    self._compare(run.stage, dep, maker, self._out(maker, path))
                except Unavailable as problem:
                    unknown.append(problem.message)
        if unknown:
            raise Unavailable("; ".join(unknown[:3]), mend="ask the maintainer")
        return count

    def _nowhere(self, known: StageRun) -> Iterator[str]:
        """What the stage read that neither the commit has, nor a .dvc file of it names, nor a stage wrote."""
        for dep in known.run.deps:
            parts = self.makers.touching(dep.path)
            named = {*parts, *(row.path for row in known.tracked)}
            if dep.path in known.committed or lies_in(dep.path, named):
                continue
            if not any(touches(path, dep.path) for path in named):
                yield dep.name
            else:  # outputs, or what .dvc files name, lie inside it, and others may
                ours = set(known.committed)
                inside = self.listings.inside(dep)
                yield from (path for path, _ in inside if path not in ours and not lies_in(path, named))

    def _compare(self, reader: str, dep: Measured, maker: str, out: Measured) -> None:
        """What `reader` read is what `maker` wrote. One can lie inside the other, where that one's files are listed."""
        whole, part = (dep, out) if out.path.startswith(f"{dep.path}/") else (out, dep)
        found = whole.sha256 if whole.path == part.path else self._inside(whole, part)
        if found != part.sha256 or (whole.path == part.path and (whole.files is None) != (part.files is None)):
            one, other = (part.sha256, found) if part is dep else (found, part.sha256)
            raise Gap(f"{reader} read {dep.path} as sha256:{one}, but {maker} wrote sha256:{other}")

    def _inside(self, whole: Measured, part: Measured) -> str | None:
        """The digest in the directory `whole` of what lies where `part` does; None where there is nothing."""
        if whole.files is None:
            return None
        file, folder = listing.inside(self.listings.files(whole), part.path.removeprefix(f"{whole.path}/"))
        return file if part.files is None else folder

    def _out(self, maker: str, path: str) -> Measured:
        if (maker, path) not in self.stated:
            raise Unavailable(f"{maker} states nothing of {path}", mend="ask the maintainer for its statement")
        return self.stated[maker, path]

    def _origins(self, path: str) -> set[str]:
        """The stages that wrote the bytes of the release's file at `path`, and did not have them from another."""
        wanted = self._digests[path]
        wrote = {
            name
            for name, run in self.runs.items()
            if any(wanted in self.listings.known_digests(out) for out in run.outs)
        }
        return {name for name in wrote if not wrote & (self._ancestors(name) - {name})}

    def _ancestors(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = deque([name])
        while waiting:
            new = self.parents[waiting.popleft()] - found
            found |= new
            waiting += new
        return found

    def _route(self, starts: set[str], ends: set[str]) -> list[str]:
        """The shortest way back from one of `starts` to one of `ends`; empty where there is none."""
        waiting = deque([name] for name in sorted(starts))
        seen = set(starts)
        while waiting:
            route = waiting.popleft()
            if route[-1] in ends:
                return route
            new = sorted(self.parents[route[-1]] - seen)
            seen.update(new)
            waiting += [[*route, name] for name in new]
        return []


def _by_dvc(known: StageRun) -> str:
    return f", {len(known.tracked)} by its .dvc files" if known.tracked else ""


def _settings(params: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """(file, key) of each setting that is read key by key."""
    return {(path, key) for path, values in params.items() if path.endswith(dvc_yaml.READABLE) for key in values}
