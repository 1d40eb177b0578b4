"""The packages that the source of a release runs with."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from registry.audit import hostile, index
from registry.audit.sandbox import Access, Sandbox
from registry.errors import GlasshouseError, Unavailable

EnvironmentKind = Literal["fresh", "current"]
"""fresh: made from the release's own lock of packages.  current: the one that this command runs in."""
NAME = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==", re.MULTILINE)
"""How the lines of a package in a lock begin."""
EXACT = ("--require-hashes", "--no-deps", "--quiet")
"""How packages are asked for: each file held to its digest, and none that the lock does not name."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to make an environment."""

    kind: EnvironmentKind
    """Which one."""
    python: str = sys.executable
    """The interpreter that a fresh one is made with."""

    def make(self, lock: Path, sandbox: Sandbox) -> Sandbox:
        """`sandbox` with the programs of the environment, made where it has to be, from the packages in `lock`.

        Raises Unavailable where packages cannot be installed.
        """
        if self.kind == "current":
            return replace(sandbox, programs=Path(self.python).parent)
        made = hostile.new_folder(sandbox.scratch / "venv", sandbox.scratch)
        inside = replace(sandbox, programs=made / "bin")
        try:
            base = str(Path(self.python).resolve())  # behind the wall there is no environment but the new one
            inside.run([base, "-m", "venv", str(made)], made, log="venv", access=Access(writes=(made,)))
            _install(lock, inside, made)
        except GlasshouseError as problem:
            raise Unavailable(
                f"the release's packages cannot be installed: {problem.message}",
                mend="see that every package of its lock can be had (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), "
                "or use --environment current",
            ) from problem
        return inside


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
