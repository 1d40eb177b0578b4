"""Step 6: what the policy asks for beyond a good signature. What it does not mention, nobody looks at.

Figures and licences are read from records whose bytes a verified release statement lists. A record that is not there
makes UNKNOWN: nothing was found to speak against the release, and nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from registry.attest import predicates
from registry.attest.policy import STRENGTH, Bounds, Policy, Rebuilders
from registry.attest.predicates import DataManifest, Openness, Rebuild
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.records import data_manifest, layout
from registry.records.evaluation import Evaluation
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Step, Verdict
from registry.verification.case import Case

CLASSES = ("I", "II", "III")
"""Of the Model Openness Framework, the most open first."""


def requirements(case: Case) -> Iterator[Check]:
    """An answer for everything that the policy asks for; at least for its signers."""
    policy = case.verifier.policy
    yield _answer("signers", lambda: _threshold(case, policy))
    for name in policy.attestations:
        yield _answer(f"attestation {name}", lambda name=name: _present(case, name))  # type: ignore[misc]
    if policy.openness:
        yield _answer("openness", lambda: _openness(case, policy))
    if policy.licenses.weights is not None:
        yield _answer("licence of the weights", lambda: _weights(case, policy))
    if policy.licenses.data is not None:
        yield _answer("licences of the data", lambda: _data(case, policy))
    for figure, bounds in sorted(policy.evaluation.items()):
        yield _answer(figure, lambda figure=figure, bounds=bounds: _figure(case, figure, bounds))  # type: ignore[misc]
    if policy.rebuilders is not None:
        asked = policy.rebuilders
        yield _answer("rebuilders", lambda: _rebuilders(case, asked))


def _answer(subject: str, question: Callable[[], str]) -> Check:
    try:
        return Check(Step.POLICY, Verdict.PASS, subject, question())
    except Unavailable as problem:
        return Check(Step.POLICY, Verdict.UNKNOWN, subject, problem.message)
    except GlasshouseError as problem:
        return Check(Step.POLICY, Verdict.FAIL, subject, problem.message)


def _threshold(case: Case, policy: Policy) -> str:
    """Enough different signers of the policy signed what says which files the release has."""
    path = layout.SIGNATURE if case.bare else layout.RELEASE_ATTESTATION
    first = case.verified.get(path)
    if first is None:
        raise _unknown(f"no verified {path} to count signers of")
    rules, untold = {first.rule}, ""
    for item in case.gathered.evidence:
        try:
            further = case.verifier.verify(item.data, name="release")
        except Unavailable as problem:
            untold = f"; {item.name}: {problem.message}"
            continue
        except VerificationError:
            continue  # somebody else's, or about something else
        if further.statement == first.statement:
            rules.add(further.rule)
    words = (
        f"{len(rules)} of {len(policy.signers)} signers that the policy names signed it; it asks for {policy.threshold}"
    )
    if len(rules) < policy.threshold and untold:
        raise _unknown(f"{words}{untold}")
    if len(rules) < policy.threshold:
        raise _fail(f"{words}; give more with --attestation FILE")
    return words


def _present(case: Case, name: str) -> str:
    path = layout.attestation(name)
    signed = _signed(case)
    if path not in {row.name for row in signed.attestations}:
        raise _fail("the release has no such attestation, and the policy asks for it")
    if path not in case.verified or path in case.altered:
        raise _fail("it is listed, and does not verify")
    return f"present, signed by {case.verified[path].signer}"


def _openness(case: Case, policy: Policy) -> str:
    path = layout.attestation("openness")
    asked = f"the policy asks for class {policy.openness} or better"
    _signed(case)
    if path not in case.verified:
        raise _unknown(f"no signed openness statement is in the release; {asked}")
    reached = Openness.of(case.verified[path].statement).reached
    if reached is None or CLASSES.index(reached) > CLASSES.index(policy.openness or "III"):
        raise _fail(f"it says that the release reaches {reached or 'no class'}; {asked}")
    return f"class {reached} of the Model Openness Framework, as the signer states; {asked}"


def _weights(case: Case, policy: Policy) -> str:
    licence = ReleaseRecord.read(case.trusted(layout.RECORD)).license
    return _allowed({licence}, policy.licenses.weights or ())


def _data(case: Case, policy: Policy) -> str:
    """Every licence that the signed data statement counts is allowed, and the manifest counts the same."""
    verified = case.verified.get(layout.attestation("data"))
    if verified is None:
        raise _unknown("no verified data statement to read licences from")
    signed = DataManifest.of(verified.statement)
    summary = data_manifest.read_summary(case.trusted(layout.DATA_SUMMARY))
    counted = {spdx: tally.documents for spdx, tally in summary.licenses.items()}
    if (signed.root, signed.licenses) != (summary.root, counted):
        raise _fail(f"the data statement and {layout.DATA_SUMMARY} count differently")
    return _allowed(set(signed.licenses), policy.licenses.data or ())


def _allowed(found: set[str], allowed: tuple[str, ...]) -> str:
    if others := sorted(found - set(allowed)):
        raise _fail(
            f"{', '.join(others[:10])}: not among those that the policy accepts, {', '.join(allowed) or 'none'}"
        )
    return ", ".join(sorted(found)) or "no documents"


def _figure(case: Case, figure: str, bounds: Bounds) -> str:
    metrics = Evaluation.read(case.trusted(layout.EVALUATION)).metrics.as_json()
    if figure not in metrics:
        raise _unknown(f"{layout.EVALUATION} has no such figure; it has {', '.join(sorted(metrics))}")
    value = float(metrics[figure])
    low, high = bounds.min, bounds.max
    asked = [f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    words = f"{value:g}; asked for {' and '.join(asked) or 'any'}"
    if (low is not None and value < low) or (high is not None and value > high):
        raise _fail(words)
    return words


def _rebuilders(case: Case, asked: Rebuilders) -> str:
    """Enough of the named rebuilders, none of them the release's own signer, came to a verdict that counts."""
    release = _signed(case)
    verifier = case.verifier.with_policy(Policy(signers=asked.signers))
    own = {verified.signer.who for verified in case.verified.values()}
    accepted = STRENGTH[: STRENGTH.index(asked.verdict) + 1]
    spoken: dict[int, str] = {}
    for item in case.gathered.evidence:
        try:
            verified = verifier.verify(item.data, name="rebuild")
            if not Rebuild.is_of(verified.statement) or list(verified.statement.subjects) != [case.subject]:
                continue
            rebuilt = Rebuild.of(verified.statement)
        except GlasshouseError:
            continue  # by nobody whom the policy names, or no rebuild
        if verified.signer.who in own:
            continue
        if rebuilt.verdict == "DIFFERENT":
            raise _fail(f"{verified.signer} rebuilt it and found it DIFFERENT ({item.name})")
        if rebuilt.verdict in accepted and _fits(rebuilt, release):
            spoken[verified.rule] = rebuilt.verdict
    words = f"{len(spoken)} of the {asked.at_least} asked for found it {' or '.join(accepted)}"
    if len(spoken) < asked.at_least:
        raise _unknown(f"{words}; bring more with --attestation FILE")
    return words


def _fits(rebuilt: Rebuild, release: predicates.Release) -> bool:
    """Whether what a rebuild says came out is what its verdict says: the weights, and BITWISE only the signed bytes."""
    if rebuilt.outputs is None:  # as statements of before
        return True
    signed = {file.path: file.sha256 for file in release.files}
    same = all(one.sha256 == signed.get(one.path) for one in rebuilt.outputs if one.verdict == "BITWISE")
    return same and set(release.weights) <= {one.path for one in rebuilt.outputs}


def _signed(case: Case) -> predicates.Release:
    if case.signed is None:
        raise _unknown("no verified release statement to judge by")
    return case.signed


def _unknown(found: str) -> Unavailable:
    return Unavailable(found, mend="see the other steps")


def _fail(found: str) -> VerificationError:
    return VerificationError(found, mend="do not use the release under this policy")
