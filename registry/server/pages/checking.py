"""Releases that this server verifies with the code of `glasshouse verify`, one at a time; and the reports it keeps.

A thread of its own does it, and no two workers of a server do it at once. What waits is bounded. A report is kept by
the commit that it is of; whether it still speaks of all that is known, its key tells: the policy, and the heads of the
branches on which others speak.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from typing import Any

from registry import canonical
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, Unavailable
from registry.files import write_atomic
from registry.manifest import check_path
from registry.report import Check, Report, Step, Verdict
from registry.server.locks import locked
from registry.server.pages import expected
from registry.server.pages.expected import Expected
from registry.server.pages.shelf import StoreShelf
from registry.server.problems import Problem
from registry.server.store import git, objects
from registry.verification import steps
from registry.verification.case import Gathered
from registry.verification.evidence import BRANCHES
from registry.verification.fetch import read_at
from registry.verification.summary import ended

FOLDER = "pages"
MAX_WAITING = 16
MAX_BYTES = 64 << 30
"""Bytes of a release that this server verifies; beyond them it says UNKNOWN."""
MAX_FILES = 20_000
MAX_CHECKS = 2_000
"""Checks that are kept of one report; all that did not pass come first."""
ABANDONED = 3600
"""Seconds after which a verification that has not ended is taken for one that was killed."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """What a verification on this server found."""

    key: str
    """What was known then: the policy, and what others had said."""
    at: str
    """When it ended, RFC 3339."""
    named: bool
    """Whether the operator had named who must have signed."""
    signer: str
    """By whose word."""
    verdict: Verdict
    """The verdict over all."""
    steps: tuple[dict[str, Any], ...]
    """A line for each step: step, name, verdict, words, seconds."""
    checks: tuple[dict[str, Any], ...]
    """Each check, as Check.as_json."""

    @property
    def established(self) -> Verdict:
        """The verdict by those whom the operator named. Where nobody was named, what holds is UNKNOWN."""
        return Verdict.UNKNOWN if self.verdict is Verdict.PASS and not self.named else self.verdict

    def as_json(self) -> dict[str, Any]:
        """The form of the file that keeps it."""
        return {
            "key": self.key, "at": self.at, "signerExpected": self.named, "signer": self.signer,
            "verdict": str(self.verdict), "steps": list(self.steps), "checks": list(self.checks),
        }  # fmt: skip


@dataclass(slots=True)
class Checker:
    """Verifies releases of the server whose folder is `root`."""

    root: Path
    """Its folder."""
    _waiting: Queue[StoreShelf] = field(default_factory=lambda: Queue(MAX_WAITING))
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def report(self, shelf: StoreShelf) -> KeptReport | None:
        """The newest report on the release; None where there is none that can be read."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._place(shelf).read_bytes())
            return KeptReport(known["key"], known["at"], known["signerExpected"], known["signer"],
                              Verdict(known["verdict"]), tuple(known["steps"]), tuple(known["checks"]))  # fmt: skip
        return None

    def current(self, shelf: StoreShelf, named: Expected) -> KeptReport | None:
        """That report, where nothing has been said since, and the policy is the same."""
        found = self.report(shelf)
        return found if found is not None and found.key == key_of(shelf, named) else None

    def pending(self, shelf: StoreShelf) -> bool:
        """Whether it waits to be verified, or is being verified, by any worker of this server."""
        with suppress(FileNotFoundError):
            return self._mark(shelf).stat().st_mtime > time.time() - ABANDONED
        return False

    def ask(self, shelf: StoreShelf) -> None:
        """Verify it, as soon as it is its turn. Raises Problem 429 where too many wait."""
        if self.pending(shelf):
            return
        self._mark(shelf).parent.mkdir(parents=True, exist_ok=True)
        self._mark(shelf).touch()
        try:
            self._waiting.put_nowait(shelf)
        except Full:
            self._mark(shelf).unlink(missing_ok=True)
            words = f"{MAX_WAITING} releases wait to be verified: try again later"
            raise Problem(429, words, headers={"Retry-After": "60"}) from None
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="verifying", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            shelf = self._waiting.get()
            try:
                with locked(self.root / FOLDER / "verifying.lock"):
                    for left in (self.root / FOLDER).glob(".release-*"):  # by a server that was killed
                        shutil.rmtree(left, ignore_errors=True)
                    kept = self._verified(shelf)
                    write_atomic(self._place(shelf), canonical.dumps(kept.as_json()))
            except (OSError, Problem, git.GitFailed, GlasshouseError):
                pass  # it has gone, or the disk is full: there is no report, and it can be asked for again
            finally:
                self._mark(shelf).unlink(missing_ok=True)

    def _verified(self, shelf: StoreShelf) -> KeptReport:
        known = expected.read(self.root, shelf)
        with tempfile.TemporaryDirectory(prefix=".release-", dir=self.root / FOLDER) as scratch:
            report = _report(shelf, known, Path(scratch) / "release")
        rows = sorted((check.as_json() for check in report.checks), key=lambda row: row["verdict"] == "PASS")
        rows = [{**row, "subject": row["subject"].replace(scratch, "")[:500] or "/"} for row in rows[:MAX_CHECKS]]
        lines = [
            {"step": int(each.step), "name": each.step.word, "verdict": str(each.verdict),
             "words": each.words.replace(scratch, "")[:1000], "seconds": round(each.seconds, 3)}
            for each in report.steps
        ]  # fmt: skip
        return KeptReport(
            key_of(shelf, known), datetime.now(UTC).isoformat(timespec="seconds"), known.named,
            known.entry.signature.words, report.verdict, tuple(lines), tuple(sorted(rows, key=lambda row: row["step"])),
        )  # fmt: skip

    def _place(self, shelf: StoreShelf) -> Path:
        name = sha256_bytes(f"{shelf.repo.name.url_path}@{shelf.tag} {shelf.commit}".encode())
        return Path(f"{self.root}/{FOLDER}/reports/{name[:2]}/{name}.json")

    def _mark(self, shelf: StoreShelf) -> Path:
        return self._place(shelf).with_suffix(".pending")


def key_of(shelf: StoreShelf, known: Expected) -> str:
    """What is known of a release besides its files: by whose word it is judged, and what others have said."""
    policy = known.policy.as_json() if known.policy else None
    return sha256_bytes(canonical.dumps({"policy": policy, "named": known.named, "said": dict(shelf.said)}))


def _report(shelf: StoreShelf, known: Expected, folder: Path) -> Report:
    """The report on the release, laid out in `folder`."""
    verifier, reference = known.entry.whom.verifier, shelf.reference
    if verifier is None:
        why = f"nobody can tell who signed it: {known.entry.signature.words}"
        return ended(str(reference), [Check(Step.SIGNATURES, Verdict.UNKNOWN, str(reference), why)], "not looked at")
    started = time.perf_counter()
    try:
        _laid_out(shelf, folder)
    except GlasshouseError as problem:
        found = [Check(Step.PLACE, Verdict.of(problem), str(reference), problem.message)]
        return ended(str(reference), found, "not looked at: it could not be laid out")
    return steps.verify(
        folder, reference, read_at(reference, shelf.commit), verifier, gathered=_gathered(shelf),
        fetching=time.perf_counter() - started,
    )  # fmt: skip


def _laid_out(shelf: StoreShelf, folder: Path) -> None:
    """Write every file of the release. Raises Unavailable where one is lost, or it is too large for this server."""
    rows = [row for row in objects.tree(shelf.repo.folder, shelf.commit, recursive=True) if not row.directory]
    room = min(MAX_BYTES, shutil.disk_usage(folder.parent).free // 2)  # anybody may ask: uploads have the other half
    if len(rows) > MAX_FILES or sum(row.size for row in rows) > room:
        raise Unavailable("it is larger than what this server verifies", mend=f"glasshouse verify {shelf.reference}")
    for row in rows:
        check_path(row.path)
        where = folder / row.path
        where.parent.mkdir(parents=True, exist_ok=True)
        try:
            content = shelf.large.content(shelf.repo, shelf.commit, row.path)
            with where.open("xb") as stream:
                for chunk in content.read(0, content.size):
                    stream.write(chunk)
        except (Problem, OSError) as problem:
            raise Unavailable(f"{row.path} is not to be had: {problem}", mend="glasshouse serve --check") from problem


def _gathered(shelf: StoreShelf) -> Gathered:
    evidence, unanswered = [], {}
    for branch in BRANCHES:
        try:
            evidence += shelf.words(branch)
        except GlasshouseError as problem:
            unanswered[branch] = f"the branch {branch} cannot be read whole: {problem.message}"
    return Gathered(tuple(evidence), unanswered, asked=True)
