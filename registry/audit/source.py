"""The source of a release at its signed commit, and Python environments to run it in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry.audit.sandbox import Sandbox
from registry.digest import sha256_file
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable, VerificationError
from registry.project.command import run
from registry.records import layout
from registry.records.release_record import SourceCode

EnvironmentKind = Literal["fresh", "current"]
"""fresh: made from the release's own lock of packages.  current: the one that this command runs in."""

SIGNED = {
    "dvc.yaml": layout.PIPELINE,
    "params.yaml": layout.PARAMS,
    "requirements.lock": layout.REQUIREMENTS,
    "dvc.lock": layout.LOCK,
}
"""Path in the source -> path in the release: files whose bytes are signed, and must be those of the commit."""
TAME = (
    "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
    "-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false",
)  # fmt: skip
"""Settings with which git runs nothing that a repository or its address could name."""


def fetch(source: SourceCode, asked: str | None, into: Path, release: Path) -> None:
    """Clone the commit that `source` names into the new folder `into`, and hold it to the signed files of `release`.

    asked: a URL or path to clone from instead of the remote that the release names.
    Raises Unavailable where the commit cannot be had; VerificationError or DigestMismatch where it is not what was
    signed; InputError where nobody says where the source is.
    """
    remote = str(Path(asked).resolve()) if asked and Path(asked).exists() else asked or source.remote
    if remote is None:
        raise InputError(
            "the release names no public place of its source", mend="give a URL or a path: --source https://HOST/REPO"
        )
    try:
        clone = ["git", *TAME, "clone", "--quiet", "--no-checkout", "--no-hardlinks", "--", remote, str(into)]
        run(clone, into.parent)
        run(["git", *TAME, "checkout", "--quiet", "--detach", source.commit], into)
    except InputError as problem:
        raise Unavailable(
            f"commit {source.commit[:12]} cannot be had from {remote}: {problem.message}",
            mend="give another place of the source: --source URL|PATH",
        ) from problem
    found = run(["git", "rev-parse", "HEAD"], into).strip()
    if found != source.commit:
        raise VerificationError(f"git gives commit {found}, signed is {source.commit}", mend="try another --source")
    for path, signed in SIGNED.items():
        _same(into / path, release / signed, path)


def _same(found: Path, signed: Path, path: str) -> None:
    if not signed.is_file():
        raise Unavailable(f"the release has no {signed.name} to hold the source to", mend="ask its maintainer for it")
    try:
        digest = sha256_file(found)
    except OSError as problem:
        raise VerificationError(
            f"the source has no plain file {path}: {problem.strerror}", mend="report the release to its maintainer"
        ) from problem
    if digest != sha256_file(signed):
        raise DigestMismatch(f"{path} of the source", signed=sha256_file(signed), found=digest)


@dataclass(frozen=True, slots=True)
class Setup:
    """How to make an environment.  kind: which.  python: the interpreter that a fresh one is made with."""

    kind: EnvironmentKind
    python: str = sys.executable

    def make(self, tree: Path, sandbox: Sandbox) -> Sandbox:
        """`sandbox` with the programs of the environment, made where it has to be.

        Raises Unavailable where packages cannot be installed.
        """
        if self.kind == "current":
            return Sandbox(sandbox.scratch, Path(self.python).parent, sandbox.bubblewrap)
        made = sandbox.scratch / "venv"
        inside = Sandbox(sandbox.scratch, made / "bin", sandbox.bubblewrap)
        try:
            base = str(Path(self.python).resolve())  # behind the wall there is no environment but the new one
            inside.run([base, "-m", "venv", str(made)], sandbox.scratch, log="venv", installing=True)
            self._install(tree / "requirements.lock", inside)
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
