"""What is known of a release while it is verified, and the words of its report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from registry import suffixes
from registry.attest import oms, predicates
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.signature import Verified
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.digest import Digests
from registry.errors import GlasshouseError, Unavailable, Unsupported
from registry.files import read_bytes
from registry.hub.reference import HubReference, Reference
from registry.records import layout
from registry.report import Step
from registry.verification.tree import Tree

if TYPE_CHECKING:
    from registry.openness.released import ReleaseFiles
    from registry.verification.memory import Memory
    from registry.verification.spoken import Heard

STEPS = tuple(step for step in Step if step <= Step.STATUS)
"""Those of verification."""

VERSION = re.compile(r"(?i)(?:refs/)?(?:tags/)?(?:v|(?=\d+\.\d))(\d.*)")
"""A revision that reads as a version, or as the beginning of one."""

NUMBERED = re.compile(r"\d+\.\d+\.\d+")
"""The number of a version, wherever it stands in a revision."""

BARE = "the directory has a model.sig and no attestations, so this cannot be checked; glasshouse release cut makes them"
"""What the later steps say of a directory that never was a release of ours."""

DigestMode = Literal["blake3", "sha256", "both"]
"""By which digests files are compared: BLAKE3 where it is signed, SHA-256 always, or each that is signed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A bundle from outside the release: another signature on it, a rebuild, its status. Nothing in it is verified."""

    name: str
    """Where it came from, for the report."""
    data: bytes
    """The bundle."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """All the evidence at hand."""

    evidence: tuple[Evidence, ...] = ()
    """Each bundle."""
    unanswered: Mapping[str, str] = field(default_factory=dict)
    """By branch: why what is said there could not be read whole. What may be missing there cannot be told."""
    asked: bool = False
    """Whether a Hub was asked: a word that a branch does not show, which could be read whole, is not there."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was found."""

    size: int
    """How many bytes it has."""
    digests: Digests
    """What was measured of it."""


@dataclass
class Case:
    """What is known of the release in `tree` while it is verified; each step adds to it."""

    tree: Tree
    """The files, where they lie."""
    files: list[tuple[str, int]]
    """(path, size) of each file, as step 0 found it."""
    reference: Reference
    """What was asked for."""
    verifier: Verifier
    """The policy, and the roots of trust."""
    digest: DigestMode = "blake3"
    """By which digests files are compared."""
    gathered: Gathered = Gathered()
    """What others say of the release."""
    found: dict[str, Found] = field(default_factory=dict)
    """Each file by its path, measured in step 2."""
    altered: dict[str, str] = field(default_factory=dict)
    """By path: why a file is not as the statements list it."""
    verified: dict[str, Verified] = field(default_factory=dict)
    """By path: the bundles whose signatures held in step 3."""
    signed: predicates.Release | None = None
    """The release statement, once step 4 verified it."""
    memory: Memory | None = None
    """What this machine heard of releases before; None: nothing is recalled."""
    heard: Heard | None = None
    """What was said of its status, once step 7 heard it."""
    _parsed: dict[str, Statement] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Where the files lie."""
        return self.tree.root

    @property
    def bundles(self) -> list[str]:
        """Paths of the bundles that are there, model.sig last."""
        paths = [path for path in sorted(self.found) if path.startswith(f"{layout.ATTESTATIONS}/")]
        return [*paths, *(path for path in self.found if path == layout.SIGNATURE)]

    @cached_property
    def bare(self) -> bool:
        """Whether this never was a release of ours: a directory with a model.sig that speaks of no attestation.

        To be asked once every file is found.
        """
        if layout.SIGNATURE not in self.found:
            return False
        try:
            covered = set(oms.covered(self.unverified(layout.SIGNATURE)).files)
        except Unsupported:
            covered = set()
        except GlasshouseError:
            return False
        ours = (layout.RECORD, f"{layout.ATTESTATIONS}/")
        return not any(path.startswith(ours) for path in covered | self.found.keys())

    @property
    def subject(self) -> Subject | None:
        """What others speak of when they speak of this release: the verified release statement's subject."""
        statement = self.verified.get(layout.RELEASE_ATTESTATION)
        return statement.statement.subjects[0] if statement and self.signed else None

    @property
    def sha256(self) -> Mapping[str, str]:
        """SHA-256 by path: measured, or, where BLAKE3 was measured and is as signed, the one signed beside it."""
        listed = {file.path: file for file in self.signed.files} if self.signed else {}
        digests = {path: file.digests.sha256 for path, file in self.found.items()}
        for path, file in listed.items():
            if digests.get(path, "") is None and path not in self.altered:
                digests[path] = file.sha256
        return {path: digest for path, digest in digests.items() if digest is not None}

    def read(self, path: str) -> bytes:
        """The bundle at `path`. Raises InputError where it cannot be read, Malformed where it is too large."""
        return read_bytes(self.root / path, MAX_MODEL_BYTES)

    def unverified(self, path: str) -> Statement:
        """What the bundle at `path` says, its signature not looked at. Raises GlasshouseError where unreadable."""
        if path not in self._parsed:
            self._parsed[path] = unverified(self.read(path))
        return self._parsed[path]

    @cached_property
    def shown(self) -> ReleaseFiles:
        """The files of the release that a verified release statement lists, and that are as it lists them."""
        from registry.openness.released import ReleaseFiles  # most of what is verified asks for none of it

        listed = {file.path: file.sha256 for file in self.signed.files} if self.signed else {}
        digests = {path: sha for path, sha in listed.items() if path in self.found and path not in self.altered}
        return ReleaseFiles(str(self.reference), digests, lambda path, most: read_bytes(self.trusted(path), most))

    def trusted(self, path: str) -> Path:
        """The file at `path`, whose bytes are those of a verified release statement. Raises Unavailable otherwise."""
        if self.signed is None or path not in self.found or path in self.altered:
            raise Unavailable(f"there is no {path} that the signer stands for", mend="see steps 2 and 3")
        return self.root / path


def mistaken(asked: Reference, signed: predicates.Release) -> str | None:
    """Why the release that was signed is not the one that was asked for; None where it can be.

    A revision promises the version that it reads as, however that is spelt, or the version whose number stands in it.
    A branch without a number promises none; nor does a commit.
    """
    if not isinstance(asked, HubReference):
        return None
    if asked.repository != signed.name:
        return f"this is a release of {signed.name}"
    version = VERSION.fullmatch(asked.revision)
    if version and f"v{version[1]}" != signed.version:
        return f"this is release {signed.version}, under another tag"
    if version and asked.revision != signed.version:
        return f"this is release {signed.version}, under a tag that is spelt otherwise"
    own = NUMBERED.findall(signed.version)
    if others := [number for number in NUMBERED.findall(asked.revision) if number not in own]:
        return f"this is release {signed.version}, and not {others[0][:80]}"
    return None


def unverified(data: bytes) -> Statement:
    """What the bundle `data` says, its signature not looked at. Raises GlasshouseError where it cannot be read."""
    return Statement.parse(Bundle.parse(data, max_bytes=MAX_MODEL_BYTES).envelope.payload)


def short(path: str) -> str:
    """What a policy calls the bundle at `path`: `attestations/data.sigstore.json` is `data`."""
    return path.removeprefix(f"{layout.ATTESTATIONS}/").removesuffix(suffixes.BUNDLE)
