"""The packages that the source of a release runs with."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from registry.audit import hostile, index
from registry.audit.sandbox import Access, Sandbox
from registry.errors import GlasshouseError, Unavailable
from registry.records import package_locks
from registry.records.rebuild import DeclaredEnvironment

EnvironmentKind = Literal["fresh", "current"]
"""fresh: made from the release's own lock of packages.  current: one that the auditor has."""
NAME = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==", re.MULTILINE)
"""How the lines of a package in a lock begin."""
UV, PACKAGES = "uv", "packages.txt"
TOOLS = {"dvc": "dvc", "glasshouse": "registry"}
"""Programs of this command's own environment, and the module of each."""
EXACT = ("--require-hashes", "--no-deps", "--quiet")
"""How packages are asked for: each file held to its digest, and none that the lock does not name."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to make an environment."""

    kind: EnvironmentKind
    """Which one."""
    python: str = sys.executable
    """The interpreter that a fresh one is made with, or that of the current one."""

    def make(self, asked: DeclaredEnvironment | None, tree: Path, sandbox: Sandbox) -> Sandbox:
        """`sandbox` with the programs of the environment, made where it has to be, from what `asked` locks in `tree`.

        Raises Unavailable where it cannot be made: nothing is locked, or not with digests, or by a tool that is not
        here, or packages cannot be installed.
        """
        base = Path(self.python).resolve()  # the wall shows the new environment alone
        sandbox = replace(sandbox, shown=(*sandbox.shown, base.parent, base.parent.parent / "lib"))
        if self.kind == "current":
            return replace(sandbox, programs=Path(self.python).parent)
        lock = _locked(asked, tree, sandbox)
        made = hostile.new_folder(sandbox.scratch / "venv", sandbox.scratch)
        inside = replace(sandbox, programs=made / "bin")
        try:
            inside.run([str(base), "-m", "venv", str(made)], made, log="venv", access=Access(writes=(made,)))
            _install(lock, inside, made)
        except GlasshouseError as problem:
            raise Unavailable(
                f"the release's packages cannot be installed: {problem.message}",
                mend="see that every package of its lock can be had (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), "
                "or use --environment current",
            ) from problem
        return inside


def _locked(asked: DeclaredEnvironment | None, tree: Path, sandbox: Sandbox) -> Path:
    """A file of what pip is to install, each package with digests, which no child can write."""
    if asked is None:
        raise Unavailable(
            "the release pins no packages, so no fresh environment can be made",
            mend="--environment current: with the packages that you have, as the verdict then says",
        )
    if asked.file is None:
        raise Unavailable(
            f"the release is built in the image {asked.image}, which an audit neither pulls nor builds",
            mend="in that image, run this with --environment current: pip install glasshouse",
        )
    name = PurePosixPath(asked.file).name
    if asked.kind == "uv":
        data = _exported(asked.file, tree, sandbox)
        return _written(package_locks.requirements("pip", data, f"what uv exports of {name}"), sandbox, PACKAGES)
    with hostile.opened(tree / asked.file, tree) as stream:
        data = stream.read(package_locks.MAX_BYTES + 1)
    kind = asked.kind
    assert kind != "image"  # which has no file
    return _written(package_locks.requirements(kind, data, name), sandbox, PACKAGES)


def _exported(file: str, tree: Path, sandbox: Sandbox) -> bytes:
    """What uv.lock pins, as a file of requirements: uv writes it, and neither resolves nor builds anything for it."""
    beside = Path(sys.executable).parent / UV
    uv = str(beside) if beside.is_file() else shutil.which(UV)
    if uv is None:
        raise Unavailable(
            f"{file} is a lock of uv's, and uv is not here", mend=f"pip install uv; or {package_locks.CURRENT}"
        )
    room = sandbox.room("export")
    out = room.out / PACKAGES
    command = [uv, "export", "--frozen", "--offline", "--no-emit-workspace", "--quiet", "--format", "requirements.txt"]
    access = Access((tree, Path(uv)))
    sandbox.run([*command, "--output-file", str(out)], (tree / file).parent, log="export", room=room, access=access)
    with hostile.opened(out, sandbox.scratch) as stream:
        return stream.read(package_locks.MAX_BYTES + 1)


def lent(sandbox: Sandbox) -> Sandbox:
    """`sandbox` with this command's own `dvc` and `glasshouse` for a source that locks neither.

    They read nothing of the source's own modules (python -I).
    """
    folder = hostile.new_folder(sandbox.scratch / "tools", sandbox.scratch)
    for name, module in TOOLS.items():
        script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IB -m {module} "$@"\n'
        _written(script, sandbox, f"tools/{name}").chmod(0o700)
    return replace(sandbox, tools=folder, shown=(*sandbox.shown, Path(sys.prefix)))


def _install(lock: Path, inside: Sandbox, made: Path) -> None:
    """Install everything in `lock` into the environment in `made`; by uv, which the lock itself may bring."""
    python = str(inside.programs / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    where = _fetched(lock, inside, pip) if index.hides(os.environ) else []
    command = [*pip, "install"]
    writes, text = (made,), lock.read_text(encoding="utf-8")
    if installer := requirement(text, "uv"):
        alone = _written(installer, inside, "uv.txt")
        access = Access((lock, alone, inside.scratch / FILES), writes)
        inside.run([*command, *EXACT, *where, "--requirement", str(alone)], made, log="uv", access=access,
                   installing=True)  # fmt: skip
        command = [str(inside.programs / "uv"), "pip", "install", "--python", python]
    access = Access((lock, inside.scratch / FILES), writes)
    inside.run([*command, *EXACT, *where, "--requirement", str(lock)], made, log="packages", access=access,
               installing=True)  # fmt: skip


FILES = "files"
"""The folder, in the scratch folder, of packages that were fetched before any is installed."""


def _fetched(lock: Path, inside: Sandbox, pip: list[str]) -> list[str]:
    """Fetch what needs passwords, and runs no code: the options by which what was fetched is found.

    That is every package that need not be built. The others have to be had by an address without a password.
    """
    into = hostile.new_folder(inside.scratch / FILES, inside.scratch)
    command = [*pip, "download", *EXACT, "--only-binary", ":all:", "--dest", str(into)]
    secrets = index.whole(os.environ)
    settings = tuple(Path(secrets[name]) for name in index.KEYS if name in secrets)

    def fetch(requirements: Path) -> None:
        access = Access((requirements, *settings), (into,))
        inside.run([*command, "--requirement", str(requirements)], into, log="fetch", access=access, installing=True,
                   variables=secrets)  # fmt: skip

    options = ["--find-links", str(into)]
    try:
        fetch(lock)
    except GlasshouseError:  # one at least has to be built: those that have not are fetched one by one
        text = lock.read_text(encoding="utf-8")
        for number, found in enumerate(NAME.finditer(text)):
            alone = _written(requirement(text, found["name"]), inside, f"fetch-{number}.txt")
            try:
                fetch(alone)
            except GlasshouseError:
                continue
        return options
    return [*options, "--no-index"]


def _written(text: str, inside: Sandbox, name: str) -> Path:
    """A file with `text`, which no child can write."""
    path = inside.scratch / name
    with hostile.new_file(path, inside.scratch) as stream:
        stream.write(text.encode())
    return path


def requirement(lock: str, name: str) -> str:
    """The lines of `name` in a lock of pip's: its version and the digests that follow. Empty where it is not there."""
    lines: list[str] = []
    for line in lock.splitlines(keepends=True):
        if lines or line.startswith(f"{name}=="):
            lines.append(line)
            if not line.rstrip().endswith("\\"):
                break
    return "".join(lines)
