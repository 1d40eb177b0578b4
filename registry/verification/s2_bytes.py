"""Step 2: every file is the file that the statements list; none is missing, none was added.

The statements are not verified yet, so a PASS here says only that the files fit them: step 3 says who stands for that.
What they list is read first: a file that none of them lists, or that has another size than is signed, is amiss however
long it is, and nothing of it is measured.
BLAKE3 is measured where the release statement lists it, for several cores can share one file. model.sig knows SHA-256
alone: it is then compared with the SHA-256 that the release statement lists beside the BLAKE3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from registry.attest import oms, predicates
from registry.attest.oms import Covered
from registry.attest.predicates import ReleasedFile
from registry.digest import BOTH, CHUNK, Algorithm, Progress
from registry.errors import GlasshouseError, InputError
from registry.files import readable
from registry.manifest import Entry, Manifest
from registry.records import layout
from registry.report import Check, Step, Verdict
from registry.verification.case import Case, Found

SHA256: frozenset[Algorithm] = frozenset(("sha256",))
LEFTOVERS = {
    ".cache": " (it is more than `hf download --local-dir` leaves there; if it did: remove the folder .cache)",
    ".git": " (if `git clone` left it there: remove the folder .git)",
}
"""What tools add to a folder that they download to, and how to go on."""
BLAKE3: frozenset[Algorithm] = frozenset(("blake3",))
NONE: frozenset[Algorithm] = frozenset()


def checks(case: Case, progress: Progress | None) -> Iterator[Check]:
    """Measure every file, and compare it with what the release statement and model.sig list."""
    listed: Mapping[str, ReleasedFile] = {}
    try:
        listed = _listed(case)
    except GlasshouseError as problem:
        if Verdict.of(problem) is not Verdict.FAIL:
            yield Check(Step.BYTES, Verdict.UNKNOWN, layout.RELEASE_ATTESTATION, problem.message)
            return
        case.altered[layout.RELEASE_ATTESTATION] = problem.message
    known = (listed.keys() or _covered(case).files.keys()) | layout.COVERED_LAST
    wanted = [(path, _algorithms(case, size, listed.get(path)) if path in known else NONE) for path, size in case.files]
    try:
        with readable(case.root):
            measured = case.tree.digests(wanted, progress)
    except InputError as problem:
        yield Check(Step.BYTES, Verdict.of(problem), str(case.root), problem.message)
        return
    case.found = {path: Found(size, digests) for (path, size), digests in zip(case.files, measured, strict=True)}
    if case.bare:
        yield from _bare(case)
    else:
        yield from _release(case, listed)


def listed_manifest(signed: predicates.Release) -> Manifest:
    """The files that a release statement lists. Raises Malformed for paths that no release may have."""
    return Manifest(tuple(Entry(file.path, file.size, file.sha256, file.blake3) for file in signed.files))


def _listed(case: Case) -> dict[str, ReleasedFile]:
    if not (case.root / layout.RELEASE_ATTESTATION).is_file():
        return {}
    signed = predicates.Release.of(case.unverified(layout.RELEASE_ATTESTATION))
    listed_manifest(signed)
    return {file.path: file for file in signed.files}


def _covered(case: Case) -> Covered:
    """What model.sig speaks of; nothing where it cannot be read."""
    try:
        return oms.covered(case.unverified(layout.SIGNATURE))
    except GlasshouseError:
        return Covered({})


def _algorithms(case: Case, size: int, listed: ReleasedFile | None) -> frozenset[Algorithm]:
    """What to measure of a file that a statement lists: nothing where its size is not the signed one.

    Bundles and small files are cheap, and SHA-256 of them is asked for later.
    """
    if listed is not None and listed.size != size:
        return NONE
    if listed is None or listed.blake3 is None or case.digest == "sha256":
        return SHA256
    return BLAKE3 if case.digest == "blake3" and size > CHUNK else BOTH


def _release(case: Case, listed: Mapping[str, ReleasedFile]) -> Iterator[Check]:
    for path in (layout.RELEASE_ATTESTATION, layout.SIGNATURE):
        if path not in case.found:
            case.altered[path] = "missing: without it nothing says which files belong to the release"
    for path in sorted(listed.keys() | case.found.keys() - layout.COVERED_LAST):
        if path not in case.altered and layout.RELEASE_ATTESTATION not in case.altered:
            amiss = _departure(path, listed.get(path), case.found.get(path))
            case.altered |= {path: amiss} if amiss else {}
    if layout.SIGNATURE in case.found:
        try:
            signed = oms.resources(case.unverified(layout.SIGNATURE))
        except GlasshouseError as problem:
            case.altered.setdefault(layout.SIGNATURE, problem.message)
        else:
            departures = _against_model_signature(case, Covered(signed), listed)
            case.altered |= {path: amiss for path, amiss in departures if path not in case.altered}
    yield from (Check(Step.BYTES, Verdict.FAIL, path, amiss) for path, amiss in sorted(case.altered.items()))
    if not case.altered:
        yield Check(Step.BYTES, Verdict.PASS, "every file", _counted(case))


def _departure(path: str, signed: ReleasedFile | None, found: Found | None) -> str | None:
    if found is None:
        return "missing: it is signed, and not there"
    if signed is None:
        return f"unexpected: it is there, and not signed{LEFTOVERS.get(path.split('/')[0], '')}"
    if signed.size != found.size:
        return f"altered: signed as {signed.size} bytes, found {found.size} bytes"
    pairs = ((signed.sha256, found.digests.sha256), (signed.blake3, found.digests.blake3))
    measured = [(want, got) for want, got in pairs if want is not None and got is not None]
    if measured and all(want == got for want, got in measured):
        return None
    want, got = next(((want, got) for want, got in measured if want != got), ("none", "none"))
    return f"altered: signed as {want[:16]}…, found {got[:16]}…"


def _against_model_signature(
    case: Case, signed: Covered, listed: Mapping[str, ReleasedFile]
) -> Iterator[tuple[str, str]]:
    """(path, reason) wherever model.sig lists another file, or another SHA-256, than there is."""
    there = {path for path in case.found if path.split("/")[0] not in oms.IGNORED and not signed.leaves_out(path)}
    for path in sorted(signed.files.keys() | there):
        found = case.found.get(path)
        if found is None or path not in signed.files:
            have, lack = ("model.sig", "the directory") if found is None else ("the directory", "model.sig")
            yield path, f"{'missing' if found is None else 'unexpected'}: in {have}, and not in {lack}"
            continue
        digest = found.digests.sha256 or (listed[path].sha256 if path in listed else None)
        if signed.files[path] != digest:
            yield path, f"altered: model.sig has sha256:{signed.files[path]}, found sha256:{digest}"


def _bare(case: Case) -> Iterator[Check]:
    """A directory that the stock `model_signing sign` signed: nothing but model.sig says what belongs to it.

    What its signer chose to leave out, and is there, is UNKNOWN: nobody vouches for it.
    """
    try:
        signed = oms.covered(case.unverified(layout.SIGNATURE))
    except GlasshouseError as problem:
        yield Check(Step.BYTES, Verdict.of(problem), layout.SIGNATURE, problem.message)
        return
    case.altered = dict(_against_model_signature(case, signed, {}))
    yield from (Check(Step.BYTES, Verdict.FAIL, path, amiss) for path, amiss in sorted(case.altered.items()))
    for path in case.found:
        if path.split("/")[0] in oms.GIT_PATHS:
            yield Check(Step.BYTES, Verdict.UNKNOWN, path, "model.sig never covers it; a release statement would")
        elif path not in signed.files and signed.leaves_out(path):
            yield Check(Step.BYTES, Verdict.UNKNOWN, path, "the signer left it out of model.sig: nobody vouches for it")
    if not case.altered:
        yield Check(Step.BYTES, Verdict.PASS, "every file that model.sig covers", _counted(case))


def _counted(case: Case) -> str:
    by = {"blake3": "BLAKE3 where signed, else SHA-256", "sha256": "SHA-256", "both": "SHA-256 and BLAKE3"}[case.digest]
    size = sum(file.size for file in case.found.values())
    return f"{len(case.found)} files, {size} bytes, none missing or extra; compared by {by}"
