"""How open what a reference names is: a release of ours by its signed records, anything else by what its Hub shows.

What one release cannot say of itself is looked at on its Hub: whether its checkpoints are published, by the digests of
the signed chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.catalog import entry, shelves
from registry.catalog.entry import Signature, Whom
from registry.catalog.shelves import HubShelf
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub import step_branches
from registry.hub.client import HubClient, in_parallel
from registry.hub.reference import DirectoryReference, parse
from registry.manifest import Manifest
from registry.openness import elsewhere, released, statement
from registry.openness import seen as sight
from registry.openness.assessment import Assessment, licensed, missing, unknown
from registry.openness.released import ReleaseFiles
from registry.records import layout
from registry.records.checkpoint_chain import Chain

MAX_CHECKPOINTS = 1000
"""Checkpoints that are looked for on a Hub."""
INTERMEDIATE = "model-parameters-intermediate"


@dataclass(frozen=True, slots=True)
class OpennessLook:
    """How open it is, and who says so."""

    assessment: Assessment
    """Each component, and the class."""
    basis: str
    """What it rests on, in words."""
    signature: Signature | None = None
    """Who signed the release; None for what is not a signed release."""
    contradiction: str | None = None
    """What the release's own record of openness says otherwise; None where it agrees, or there is none."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            **self.assessment.as_json(),
            "basis": self.basis,
            "signature": self.signature.as_json() if self.signature else None,
            "contradiction": self.contradiction,
        }


def look(text: str, whom: Whom, *, endpoint: str | None) -> OpennessLook:
    """How open what `text` names is: a release in a folder or on a Hub, or any repository there.

    Raises InputError for a folder that is not a release, and as the Hub does where it does not answer.
    """
    reference = parse(text)
    if isinstance(reference, DirectoryReference):
        return _folder(reference, whom)
    hub = HubClient(endpoint)
    shelf = HubShelf(reference, hub.refs.resolve(reference.repository, reference.revision), hub)
    paths = {file.path for file in hub.files.list(reference.repository, shelf.commit)}
    if layout.RELEASE_ATTESTATION in paths:
        return _release(shelf, whom)
    shown = elsewhere.assess(sight.see(hub, reference), str(reference))
    return OpennessLook(shown, "what its Hub lists, its card and small files; nothing of it is signed by Glasshouse")


def _folder(reference: DirectoryReference, whom: Whom) -> OpennessLook:
    root = reference.root
    if (root / layout.RELEASE_ATTESTATION).is_file():
        return _release(shelves.FolderShelf(reference), whom)
    if not (root / layout.RECORD).is_file():
        raise InputError(f"{root} is not a release: it has no {layout.RECORD}", mend="glasshouse release prepare")
    files = ReleaseFiles.at(root, {file.path: file.sha256 for file in Manifest.of_directory(root).entries})
    basis = "the records of a release that nobody signed yet"
    return OpennessLook(released.assess(files), basis, None, _against(files))


def _release(shelf: shelves.ReleaseShelf, whom: Whom) -> OpennessLook:
    found = entry.read(shelf, whom)
    files = ReleaseFiles(found.name, found.listed, found.read)
    shown, against = released.assess(files), _against(files)
    if isinstance(shelf, HubShelf):
        shown = _with_checkpoints(shown, files, shelf)
    return OpennessLook(shown, "the signed records of the release", found.signature, against)


def _against(files: ReleaseFiles) -> str | None:
    if layout.OPENNESS not in files.digests:
        return None
    try:
        statement.check_record(files)
    except VerificationError as problem:
        return problem.message
    return None


def _with_checkpoints(shown: Assessment, files: ReleaseFiles, shelf: HubShelf) -> Assessment:
    """`shown`, with whether the checkpoints of the signed chain are on branches of the repository."""
    chain, before = files.record(layout.CHECKPOINTS, Chain), shown.by_name[INTERMEDIATE]
    if chain is None or before.state != "unknown" or before.licence is None:
        return shown
    if len(chain.entries) > MAX_CHECKPOINTS:
        why = f"the chain has {len(chain.entries)} checkpoints, more than the {MAX_CHECKPOINTS} that are looked for"
        return shown.replaced(unknown(INTERMEDIATE, why, licence=before.licence, files=before.files))

    def located(step: Any) -> str | None:
        try:
            step_branches.locate(shelf.hub, shelf.reference.repository, step)
        except InputError as problem:
            return problem.message
        return None

    try:
        absent = [why for why in in_parallel(located, chain.entries) if why is not None]
    except Unavailable as problem:
        why = f"whether the checkpoints are published cannot be seen: {problem.message}"
        return shown.replaced(unknown(INTERMEDIATE, why, licence=before.licence, files=before.files))
    except GlasshouseError as problem:
        return shown.replaced(missing(INTERMEDIATE, problem.message, licence=before.licence, files=before.files))
    if absent:
        why = f"{len(absent)} of {len(chain.entries)} checkpoints are not published: {absent[0]}"
        return shown.replaced(missing(INTERMEDIATE, why, licence=before.licence, files=before.files))
    words = f"{len(chain.entries)} checkpoints are on branches, with the digests of the signed chain"
    return shown.replaced(licensed(INTERMEDIATE, words, before.licence, before.files))
