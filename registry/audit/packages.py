"""The packages that the source of a release runs with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry.audit.sandbox import Sandbox
from registry.errors import GlasshouseError, Unavailable

EnvironmentKind = Literal["fresh", "current"]
"""fresh: made from the release's own lock of packages.  current: the one that this command runs in."""


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
            return Sandbox(sandbox.scratch, Path(self.python).parent, sandbox.bubblewrap)
        made = sandbox.scratch / "venv"
        inside = Sandbox(sandbox.scratch, made / "bin", sandbox.bubblewrap)
        try:
            base = str(Path(self.python).resolve())  # behind the wall there is no environment but the new one
            inside.run([base, "-m", "venv", str(made)], sandbox.scratch, log="venv", installing=True)
            self._install(lock, inside)
        except GlasshouseError as problem:
            raise Unavailable(
                f"the release's packages cannot be installed: {problem.message}",
                mend="see that every package of its lock can be had (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), "
                "or use --environment current",
            ) from problem
        return inside

    @staticmethod
    def _install(lock: Path, inside: Sandbox) -> None:
        """Install everything in `lock`, each file held to its digest; by uv, which the lock itself may bring."""
        python = str(inside.programs / "python")
        exact = ["--require-hashes", "--no-deps"]
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command = pip
        if installer := requirement(lock.read_text(encoding="utf-8"), "uv"):
            alone = inside.scratch / "uv.txt"
            alone.write_text(installer, encoding="utf-8")
            inside.run([*pip, *exact, "--requirement", str(alone)], inside.scratch, log="uv", installing=True)
            uv = str(inside.programs / "uv")
            command = [uv, "pip", "install", "--quiet", "--python", python, "--cache-dir", str(inside.scratch / "uv")]
        inside.run([*command, *exact, "--requirement", str(lock)], inside.scratch, log="packages", installing=True)


def requirement(lock: str, name: str) -> str:
    """The lines of `name` in a lock of pip's: its version and the digests that follow. Empty where it is not there."""
    lines: list[str] = []
    for line in lock.splitlines(keepends=True):
        if lines or line.startswith(f"{name}=="):
            lines.append(line)
            if not line.rstrip().endswith("\\"):
                break
    return "".join(lines)
