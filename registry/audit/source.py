"""The source of a release at its signed commit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from registry.audit import hostile
from registry.audit.sandbox import Allowance, Sandbox
from registry.digest import sha256_file
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable, VerificationError
from registry.project import git
from registry.project.command import QUIET
from registry.records.release_record import SourceCode


def fetch(
    source: SourceCode,
    asked: str | None,
    into: Path,
    held: Mapping[str, str],
    allowance: Allowance = Allowance(),  # noqa: B008 - frozen
) -> Path:
    """Clone the commit that `source` names into the new folder `into`, and hold its files to what was signed.

    asked: a URL or path to clone from instead of the remote that the release names.  held: SHA-256 by path in the
    project.  allowance: what git may use up, for whoever serves the source may send without end, or never answer.
    Returns where the project lies in it: the record can name a folder. Raises Unavailable where the commit cannot be
    had; VerificationError or DigestMismatch where it is not what was signed; InputError where nobody says where the
    source is.
    """
    remote = str(Path(asked).resolve()) if asked and Path(asked).exists() else asked or source.remote
    if remote is None:
        raise InputError(
            "the release names no public place of its source", mend="give a URL or a path: --source https://HOST/REPO"
        )
    try:
        clone = ("clone", "--quiet", "--no-checkout", "--no-hardlinks", "--template=", "--", remote, str(into))
        bounded = Sandbox(into.parent, Path(sys.executable).parent, allowance=allowance)
        for log, folder, words in (
            ("clone", into.parent, clone), ("checkout", into, ("checkout", "--quiet", "--detach", source.commit)),
        ):  # fmt: skip
            bounded.run(git.command(*words), folder, log=log, variables={**git.seen(), **git.NOBODY, **QUIET})
    except GlasshouseError as problem:
        raise Unavailable(
            f"commit {source.commit[:12]} cannot be had from {remote}: {problem.message}",
            mend="give another place of the source, such as a clone of your own: git clone URL DIR; --source DIR",
        ) from problem
    found = git.ask(into, "rev-parse", "HEAD", foreign=True).strip()
    if found != source.commit:
        raise VerificationError(f"git gives commit {found}, signed is {source.commit}", mend="try another --source")
    project = into / (source.folder or ".")
    if not project.is_dir() or project.resolve() != into.resolve() / (source.folder or "."):
        raise VerificationError(
            f"the source has no folder {source.folder}, where the release says that it was built",
            mend="report the release to its maintainer",
        )
    for path, signed in held.items():
        _same(project, path, signed)
    return project


def _same(project: Path, path: str, signed: str) -> None:
    try:
        digest = sha256_file(hostile.plain(project / path, project))
    except InputError as problem:
        raise VerificationError(
            f"the source has no plain file {path}: {problem.message}", mend="report the release to its maintainer"
        ) from problem
    if digest != signed:
        raise DigestMismatch(f"{path} of the source", signed=signed, found=digest)
