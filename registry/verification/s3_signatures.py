"""Step 3: each bundle holds, by a signer whom the policy names. What verified is kept for the steps after."""

from __future__ import annotations

from collections.abc import Iterator

from registry.attest import oms
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.signature import Verified
from registry.errors import GlasshouseError, Malformed, Unavailable, VerificationError
from registry.records import layout
from registry.report import Check, Step, Verdict
from registry.verification.case import Case, short

MAX_BUNDLES = 8 * MAX_MODEL_BYTES
"""Bytes of all bundles together that are looked at: some five seconds."""


def checks(case: Case) -> Iterator[Check]:
    """An answer for each bundle. Raises InputError for a root of trust that cannot be read."""
    if not case.found:
        yield Check(Step.SIGNATURES, Verdict.UNKNOWN, layout.ATTESTATIONS, "no file was read in step 2")
    elif not case.bundles:
        words = f"no signature at all; expected some by {case.verifier.policy}"
        yield Check(Step.SIGNATURES, Verdict.FAIL, layout.ATTESTATIONS, words)
    left = MAX_BUNDLES
    for path in case.bundles:
        left -= case.found[path].size
        if left < 0:
            words = f"not looked at: the bundles before it and this one have more than {MAX_BUNDLES} bytes"
            yield Check(Step.SIGNATURES, Verdict.UNKNOWN, path, words)
            continue
        try:
            verified = _verified(case, path)
        except (VerificationError, Malformed, Unavailable) as problem:
            yield Check(Step.SIGNATURES, Verdict.of(problem), path, _words(problem, str(case.verifier.policy)))
        else:
            case.verified[path] = verified
            yield Check(Step.SIGNATURES, Verdict.PASS, path, f"signed by {verified.signer}")


def _verified(case: Case, path: str) -> Verified:
    if path == layout.SIGNATURE:
        return oms.verified(case.read(path), case.verifier)
    return case.verifier.verify(case.read(path), name=short(path), max_bytes=MAX_MODEL_BYTES)


def _words(problem: GlasshouseError, wish: str) -> str:
    """What was found, and where a signature does not hold also by whom one was expected."""
    told = isinstance(problem, Unavailable) or wish in problem.message
    return problem.message if told else f"{problem.message}; expected a good signature by {wish}"
