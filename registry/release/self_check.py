"""What verification will say of a release, asked before it is published: by the code that others verify it with.

    signer    who signed it, as far as the bundle or the maintainer's own key tells
    report    steps 0 to 7, under a policy that names this signer alone
    hold      FAIL is Refused: no tag is made of it; UNKNOWN is told, each check of it

Where it cannot be told who signed (a bare key that is not at hand, a root of trust that is not), what is signed is
taken at its word, and all else is looked at: the question here is not who the maintainer is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from registry.attest.localkey import KeySigner
from registry.attest.policy import AllowedSigner, Policy, SigstoreIdentity
from registry.attest.signature import Signer
from registry.attest.verifier import Trust, Verifier
from registry.digest import Progress
from registry.errors import GlasshouseError, Refused
from registry.files import read_bytes
from registry.hub.reference import DirectoryReference
from registry.manifest import Manifest
from registry.openness.documents import agreement
from registry.openness.told import Told
from registry.provenance import lineage
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Report, Step, Verdict
from registry.verification import s0_contents, steps
from registry.verification.case import short, unverified

MAX_BUNDLE = 64 << 20
MOST = 5


def report(
    folder: Path, signer: Signer | None = None, root: Path | None = None, progress: Progress | None = None
) -> Report:
    """What verification says of the signed release in `folder`.

    signer: who signed it, if that is at hand.  root: the root of trust of a private Sigstore.  Raises InputError for a
    folder that is not a signed release, Refused for one whose card names another signer.
    """
    trust = Trust(root)
    rule = _rule(folder, signer, trust)
    _hold_to_card(folder, rule)
    place = DirectoryReference(folder)
    if rule is None:
        return Report(str(place), tuple(_unsigned(folder)))
    verifier = Verifier(Policy(signers=(rule,)), trust=trust)
    return steps.verify(folder, place, "the directory that is about to be published", verifier, progress)


def hold(found: Report) -> tuple[str, ...]:
    """Why others will be told UNKNOWN, a line for each check; none where they will be told PASS.

    Raises Refused for a release that fails.
    """
    told = {verdict: [_line(check) for check in found.checks if check.verdict is verdict] for verdict in Verdict}
    if failed := told[Verdict.FAIL]:
        more = f"; and {len(failed) - MOST} more" if len(failed) > MOST else ""
        raise Refused(
            f"it would not verify, so it is not published: {'; '.join(failed[:MOST])}{more}",
            mend="mend that in the project, commit, and cut it again; nothing was sent, and no tag was made",
        )
    return tuple(told[Verdict.UNKNOWN])


def _hold_to_card(folder: Path, rule: AllowedSigner | None) -> None:
    """Raises Refused where the card names another signer than the one who signed."""
    named = Told.of_release(folder, ReleaseRecord.read(folder / layout.RECORD).repo).signer
    if named is None or rule is None:
        return
    if not isinstance(rule, SigstoreIdentity) or (rule.identity, rule.issuer) != (named.identity, named.issuer):
        found = f"{rule.identity} of {rule.issuer}" if isinstance(rule, SigstoreIdentity) else f"a {rule.kind}"
        raise Refused(
            f"its card names {named.identity} of {named.issuer} as its signer, and it was signed by {found}",
            mend="mend `signer` of the `release` section, commit, and cut it again; or sign it as it says",
        )


def _line(check: Check) -> str:
    return f"step {int(check.step)} {check.name}, {check.subject}: {check.reason}"


def _rule(folder: Path, signer: Signer | None, trust: Trust) -> AllowedSigner | None:
    """What names the signer of the release, and nobody else; None where nothing at hand tells."""
    if isinstance(signer, KeySigner):
        return signer.public_key
    data = read_bytes(folder / layout.RELEASE_ATTESTATION, MAX_BUNDLE, mend=f"glasshouse release sign {folder}")
    try:
        return trust.see(data, max_bytes=MAX_BUNDLE).rule
    except GlasshouseError:
        return None


def _unsigned(folder: Path) -> Iterator[Check]:
    """The checks that do not ask who signed: what the files are, and the lineage that the statements tell."""
    manifest = Manifest.of_directory(folder)
    digests = {entry.path: entry.sha256 for entry in manifest.entries}
    for path, verdict, why in s0_contents.amiss(folder, list(digests)):
        yield Check(Step.BOUNDS, verdict, path, why)
    bundles = [path for path in digests if path.startswith(f"{layout.ATTESTATIONS}/")]
    yield Check(Step.SIGNATURES, Verdict.UNKNOWN, layout.ATTESTATIONS, "nothing at hand tells who signed it")
    statements = {short(path): unverified((folder / path).read_bytes()) for path in bundles}
    yield from lineage.checks(folder, statements, digests)
    yield from agreement.checks(folder, digests)
