"""Does an environment that the auditor had hold what the release pins? Where it does not, other bytes accuse nobody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from registry import canonical
from registry.audit import hostile
from registry.audit.packages import Setup
from registry.audit.sandbox import Sandbox
from registry.errors import GlasshouseError
from registry.records import package_locks
from registry.records.rebuild import DeclaredEnvironment

ASK = """import importlib.metadata as found, json, sys
rows = [[each.metadata["Name"], each.version] for each in found.distributions()]
json.dump(rows, open(sys.argv[1], "w"))
"""
MAX_BYTES = 4 << 20
MAX_TOLD = 5


def unlike(asked: DeclaredEnvironment | None, tree: Path, setup: Setup, sandbox: Sandbox) -> tuple[str, ...]:
    """Why the packages that the source in `tree` runs with may be others than the release's; empty for the same.

    asked: what the release pins. Raises nothing: what cannot be told is one of the reasons.
    """
    if setup.kind == "fresh":
        return ()
    if asked is None:
        return ("the release pins no packages",)
    if asked.file is None or asked.kind == "image":
        return (f"nobody can tell whether this is the image {asked.image}",)
    name = PurePosixPath(asked.file).name
    try:
        with hostile.opened(tree / asked.file, tree) as stream:
            pins = package_locks.pinned(asked.kind, stream.read(package_locks.MAX_BYTES + 1), name)
        if pins is None:
            return (f"what {name} pins is not read here",)
        return tuple(_apart(pins, _here(sandbox)))
    except GlasshouseError as problem:
        return (f"whether the packages are those of {name} is not known: {problem.message}",)


def _apart(pins: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """The first packages that are pinned otherwise than they are here, in words, and how many there are."""
    other = [
        f"{name} {version} there, {here.get(name, 'none')} here"
        for name, version in pins.items()
        if here.get(name) != version
    ]
    more = [f"{len(other) - MAX_TOLD} other packages"] if len(other) > MAX_TOLD else []
    return [*other[:MAX_TOLD], *more]


def _here(sandbox: Sandbox) -> dict[str, str]:
    """Version by name of every package of the environment."""
    room = sandbox.room("installed")
    out = room.out / "packages.json"
    sandbox.run(["python", "-I", "-c", ASK, str(out)], room.out, log="installed", room=room)
    with hostile.opened(out, sandbox.scratch) as stream:
        rows = canonical.parse(stream.read(MAX_BYTES + 1), name="what is installed", max_bytes=MAX_BYTES)
    return {
        package_locks.normal_name(row[0]): row[1]
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, list) and len(row) == 2 and all(isinstance(word, str) for word in row)
    }
