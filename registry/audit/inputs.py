"""Step 2 of a rebuild, before its stages: the data that .dvc files of the source name, from where DVC keeps them.

A clone has the .dvc files, and not what they name. Outputs of stages are not fetched: they are to be made. `dvc pull`
takes a remote's word for what it brings. So what came is held to the SHA-256 that the release has of what its stages
read: other bytes speak against the remote, and tell nothing of the release.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from registry import strict_yaml
from registry.audit import hostile
from registry.audit.sandbox import Access
from registry.audit.workshop import Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.files import readable
from registry.manifest import walk
from registry.project import git
from registry.provenance.stage_lineage import Line
from registry.records.listing import Listings
from registry.records.run import Measured, Run, directory_digest, lies_in, touches

LOG = "data"
SETTINGS = ".dvc/config.local"
REMOTE = "audit"
OTHER = "say which remote of DVC's, or which cache, has them: --data URL, or --data DIR/.dvc/cache"
MAX_FILES = 10_000
MAX_BYTES = 1 << 20


def prepare(place: Workshop, data: str | None) -> None:
    """Make the source in `place` ready to run: with the inputs of its stages, and without any output.

    data: the remote or cache to take inputs from; None: what the source says. Raises Unavailable where they cannot be
    had, and where the source has a link in the way.
    """
    folder = Path(data).resolve() if data and Path(data).is_dir() else None
    rebuild = place.audited.record.rebuild
    try:
        _settle(place, str(folder or data) if data else None)
        for output in rebuild.outputs if rebuild else ():
            hostile.gone(place.tree / output.source, place.tree)
        needed = dict(_needed(place))
    except InputError as problem:
        raise Unavailable(f"the source cannot be made ready to run: {problem.message}", mend=problem.mend) from problem
    if not needed:
        return
    words = ["dvc", "pull", "--quiet", *(["--remote", REMOTE] if data else []), "--", *needed]
    access = Access((folder,) if folder else (), (place.clone,))
    try:
        place.sandbox.run(words, place.tree, log=LOG, access=access, installing=True)
    except GlasshouseError as problem:
        raise Unavailable(
            f"the data that {next(iter(needed))}{' and others name' if len(needed) > 1 else ' names'} cannot be had: "
            f"{problem.message}",
            mend=OTHER,
        ) from problem
    listings = Listings.at(place.audited.root, [path for path, _ in walk(place.audited.root)])
    outs = {out for paths in needed.values() for out in paths}
    for stage, known in Line(place.audited.root, {}, {}).recorded.items():
        for dep in _brought(known.run, outs, listings):
            if digest(place, dep) != dep.sha256:
                raise Unavailable(
                    f"{dep.path}, as a remote of DVC's gives it, is not what the stage {stage} read when the release "
                    f"was made: sha256:{dep.sha256} is signed. Nothing can be told of the release from other data",
                    mend=OTHER,
                )


def withhold(place: Workshop, answers: Iterable[str]) -> None:
    """Take from the source every file that is one of `answers`, files of the release that it is to make.

    What its stages write, they write anew. Raises Unavailable where the source has one in another place, from where it
    could copy it: then the same coming out would tell nothing.
    """
    with readable(place.clone):
        found = list(_copies(place, answers))
    written = Line(place.audited.root, {}, {}).placed.outs() if found else {}
    for path, answer in found:
        if not any(touches(str(path), str(place.tree / out)) for out in written):
            raise Unavailable(
                f"the source brings along {str(path.relative_to(place.clone))[:200]}, which is the {answer} that it is "
                "to make: a copy tells nothing",
                mend="read its source; glasshouse audit replay trains parts of it anew, where it can be replayed",
            )
        hostile.gone(path, place.tree)


def _copies(place: Workshop, answers: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """(where it lies, which of `answers`) of each file of the source that is one of them.

    Nothing else is read of it than files of their size. No link is followed.
    """
    known = {sha256_file(place.audited.root / path): path for path in answers}
    sizes, count = {(place.audited.root / path).stat().st_size for path in known.values()}, 0
    waiting = [place.clone]
    while waiting:
        for item in sorted(waiting.pop().iterdir()):
            info, count = item.lstat(), count + 1
            if count > hostile.MAX_FILES:
                raise Unavailable(f"the source has more than {hostile.MAX_FILES} files", mend="read its source")
            if stat.S_ISDIR(info.st_mode) and item.name != ".git":
                waiting.append(item)
            elif stat.S_ISREG(info.st_mode) and info.st_size in sizes and (found := sha256_file(item)) in known:
                yield item, known[found]


def digest(place: Workshop, dep: Measured) -> str | None:
    """What lies in place of `dep`, by the digest that it is to have; None for anything that is not plain."""
    path = place.tree / dep.path
    try:
        if dep.files is None:
            return sha256_file(hostile.plain(path, place.tree))
        hostile.folder(path, place.tree)
        return directory_digest({name: sha256_file(path / name) for name, _ in walk(path)})
    except GlasshouseError:
        return None


def _brought(run: Run, outs: Collection[str], listings: Listings) -> Iterator[Measured]:
    """What a run read of what .dvc files name: whole dependencies, or files inside one that holds more.

    outs: the paths that they name. Raises Unavailable where nobody lists what such a one holds.
    """
    for dep in run.deps:
        if lies_in(dep.path, outs):
            yield dep
        elif any(out.startswith(f"{dep.path}/") for out in outs):
            inside = listings.inside(dep)
            yield from (Measured(path=path, sha256=known) for path, known in inside if lies_in(path, outs))


def _settle(place: Workshop, remote: str | None) -> None:
    """Settings of DVC for this clone: files are copies, and not links to a cache; and the auditor's remote."""
    lines = ["[cache]", "    type = copy"]
    if remote is not None:
        if not remote.isprintable():
            raise Unavailable(f"--data {remote[:80]!r} is not an address", mend="--data URL, or --data DIR/.dvc/cache")
        lines += ["[core]", f"    remote = {REMOTE}"]  # else DVC asks for the driver of the project's own, too
        lines += [f"['remote \"{REMOTE}\"']", f"    url = {remote}"]
    path = place.tree / SETTINGS
    hostile.folder(path.parent, place.tree)
    hostile.gone(path, place.tree)
    with hostile.new_file(path, place.tree) as stream:
        stream.write("\n".join([*lines, ""]).encode())


def _needed(place: Workshop) -> Iterator[tuple[str, list[str]]]:
    """The .dvc files of the source that name what a stage of the signed dvc.lock reads, each with all that it names."""
    listed = git.ask(place.tree, "ls-files", "-z", "--", "*.dvc", foreign=True).split("\0")
    files = [name for name in listed if name and name.isprintable() and not name.startswith(".dvc/")][:MAX_FILES]
    if not files:
        return
    placed = Line(place.audited.root, {}, {}).placed
    read = {dep.path for stage in placed.stages.values() for dep in stage.deps}
    for name in files:
        with hostile.opened(place.tree / name, place.tree) as stream:
            value = strict_yaml.parse(stream.read(MAX_BYTES + 1), name=name, max_bytes=MAX_BYTES, aliases=True)
        outs = list(_outs(name, value))
        if any(touches(path, dep) for path in outs for dep in read):
            yield name, outs


def _outs(name: str, value: object) -> Iterator[str]:
    """What the .dvc file `name` names, from the project's root."""
    folder = name.rpartition("/")[0]
    outs = value.get("outs") if isinstance(value, dict) else None
    for out in outs if isinstance(outs, list) else ():
        path = out.get("path") if isinstance(out, dict) else None
        if isinstance(path, str):
            yield f"{folder}/{path}" if folder else path
