"""Step 6: what the policy asks for beyond a good signature. What it does not mention, nobody looks at.

Figures and licences are read from records whose bytes a verified release statement lists. A record that is not there
makes UNKNOWN: nothing was found to speak against the release, and nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from registry.attest import predicates
from registry.attest.policy import STRENGTH, Bounds, Policy, Rebuilders
from registry.attest.predicates import DataManifest, Openness, Rebuild
from registry.attest.signature import SignedBy, Verified, people
from registry.attest.verifier import Verifier
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.records import data_manifest, layout
from registry.records.evaluation import Evaluation
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Step, ask
from registry.verification.case import Case, Evidence

RELEASE, REBUILD = "release", "rebuild"
"""What policies call the statements that are counted."""


def checks(case: Case) -> Iterator[Check]:
    """An answer for everything that the policy asks for; at least for its signers."""
    policy = case.verifier.policy
    yield ask(Step.POLICY, "signers", partial(_threshold, case, policy))
    for name in policy.attestations:
        yield ask(Step.POLICY, f"attestation {name}", partial(_present, case, name))
    if policy.openness:
        yield ask(Step.POLICY, "openness", partial(_openness, case, policy))
    if policy.licenses.weights is not None:
        yield ask(Step.POLICY, "licence of the weights", partial(_weights, case, policy))
    if policy.licenses.data is not None:
        yield ask(Step.POLICY, "licences of the data", partial(_data, case, policy))
    for figure, bounds in sorted(policy.evaluation.items()):
        yield ask(Step.POLICY, figure, partial(_figure, case, figure, bounds))
    if policy.rebuilders is not None:
        yield ask(Step.POLICY, "rebuilders", partial(_rebuilders, case, policy.rebuilders))


def _threshold(case: Case, policy: Policy) -> str:
    """Enough different people of the policy's signers signed what says which files the release has."""
    path, name = (layout.SIGNATURE, layout.SIGNATURE) if case.bare else (layout.RELEASE_ATTESTATION, RELEASE)
    first = case.verified.get(path)
    if first is None:
        raise _unknown(f"no verified {path} to count signers of")
    further, untold = cosigners(case, case.verifier, first)
    count = policy.counted((first.signer, *further), name)
    words = f"{count} of {len(policy.signers)} signers that the policy names signed it; it asks for {policy.threshold}"
    if count < policy.threshold and untold:
        raise _unknown(f"{words}; {untold}")
    if count < policy.threshold:
        raise _fail(f"{words}; give more with --attestation FILE")
    return words


def cosigners(case: Case, verifier: Verifier, first: Verified) -> tuple[tuple[SignedBy, ...], str]:
    """Who else signed the statement of `first`, of those whom `verifier` knows; and why of others it cannot be told."""
    found, untold = [], ""
    for item in case.gathered.evidence:
        try:
            further = verifier.verify(item.data, name=RELEASE)
        except Unavailable as problem:
            untold = f"{item.name}: {problem.message}"
            continue
        except VerificationError:
            continue  # somebody else's, or about something else
        if further.statement == first.statement:
            found.append(further.signer)
    return tuple(found), untold


def _present(case: Case, name: str) -> str:
    path = layout.attestation(name)
    signed = _signed(case)
    if path not in {row.name for row in signed.attestations}:
        raise _fail("the release has no such attestation, and the policy asks for it")
    if path not in case.verified or path in case.altered:
        raise _fail("it is listed, and does not verify")
    return f"present, signed by {case.verified[path].signer}"


def _openness(case: Case, policy: Policy) -> str:
    from registry.openness import statement as openness  # few policies ask
    from registry.openness.assessment import called
    from registry.openness.framework import is_as_open

    path = layout.attestation("openness")
    asked = f"the policy asks for class {policy.openness} or better"
    _signed(case)
    if path not in case.verified:
        raise _unknown(f"no signed openness statement is in the release; {asked}")
    said = Openness.of(case.verified[path].statement)
    shown = openness.check_claim(said, case.shown)
    if not is_as_open(said.reached, policy.openness):
        lacking = ", ".join(one.component.name for one in shown.short_of(policy.openness or "III"))
        raise _fail(
            f"it says that the release reaches {called(said.reached)}; {asked}; it lacks {lacking or 'nothing'}"
        )
    return f"{called(said.reached)} of the Model Openness Framework, as its files show; {asked}"


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
    from registry.records.harness import FIGURES, HarnessEvaluation

    if figure.startswith(FIGURES):
        path, figures = layout.HARNESS, HarnessEvaluation.read(case.trusted(layout.HARNESS)).figures
    else:
        path, figures = layout.EVALUATION, Evaluation.read(case.trusted(layout.EVALUATION)).metrics.as_json()
    if figure not in figures:
        raise _unknown(f"{path} has no such figure; it has {', '.join(sorted(figures)[:10])}")
    value = float(figures[figure])
    low, high = bounds.min, bounds.max
    asked = [f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    words = f"{value:g}; asked for {' and '.join(asked) or 'any'}"
    if (low is not None and value < low) or (high is not None and value > high):
        raise _fail(words)
    return words


def _rebuilders(case: Case, asked: Rebuilders) -> str:
    """Enough of the named rebuilders, none of whom signed the release, came to a verdict that counts."""
    spoken, apart = rebuilders(case, asked)
    accepted = " or ".join(STRENGTH[: STRENGTH.index(asked.verdict) + 1])
    count = Policy(signers=asked.signers).counted(spoken, REBUILD)
    words = f"{count} of the {asked.at_least} asked for found it {accepted}"
    if count < asked.at_least:
        raise _unknown("; ".join([f"{words}; bring more with --attestation FILE", *apart[:3]]))
    return words


def rebuilders(case: Case, asked: Rebuilders) -> tuple[list[SignedBy], list[str]]:
    """(who rebuilt it so that it counts, why each other rebuild does not).

    1. who signed the release, by whatever name or key: the release's signers, and its co-signers
    2. each rebuild of this very release, by a rebuilder whom the policy names and who is none of those
    3. it counts if it was made of the signed commit, as the policy bounds it, and its outputs bear its verdict out

    Raises Unavailable where no release statement is verified, VerificationError where one of them found it DIFFERENT.
    """
    release = _signed(case)
    both = case.verifier.with_policy(Policy(signers=(*case.verifier.policy.signers, *asked.signers)))
    first = case.verified[layout.RELEASE_ATTESTATION]
    signers = [*(one.signer for one in case.verified.values()), *cosigners(case, both, first)[0]]
    spoken: list[SignedBy] = []
    apart: list[str] = []
    for item, signer, rebuilt in _rebuilds(case, asked):
        if people((*signers, signer)) == people(signers):
            apart.append(f"{item.name}: by a signer of the release")
            continue
        problem = _short_of(rebuilt, release, asked)
        if _speaks_against(rebuilt, release, asked):
            raise _fail(f"{signer} rebuilt it and found it DIFFERENT ({item.name})")
        if problem:
            apart.append(f"{item.name}: {problem}")
        else:
            spoken.append(signer)
    return spoken, apart


def _rebuilds(case: Case, asked: Rebuilders) -> Iterator[tuple[Evidence, SignedBy, Rebuild]]:
    """The rebuilds of this release by those whom the policy names."""
    verifier = case.verifier.with_policy(Policy(signers=asked.signers))
    for item in case.gathered.evidence:
        try:
            verified = verifier.verify(item.data, name=REBUILD)
            if Rebuild.is_of(verified.statement) and list(verified.statement.subjects) == [case.subject]:
                yield item, verified.signer, Rebuild.of(verified.statement)
        except GlasshouseError:
            continue  # by nobody whom the policy names, or no rebuild


def _speaks_against(rebuilt: Rebuild, release: predicates.Release, asked: Rebuilders) -> bool:
    """Whether a rebuild shows that the release is not what its source makes.

    It is DIFFERENT, of this commit, in packages that the policy counts, and of other bytes than the signed ones.
    Statements of before do not say all of it.
    """
    signed = {file.path: file.sha256 for file in release.files}
    odd = [one for one in rebuilt.outputs or () if one.verdict == "DIFFERENT"]
    return (
        rebuilt.verdict == "DIFFERENT"
        and rebuilt.source in (None, release.source.commit)
        and rebuilt.environment in (None, *asked.environments)
        and (not odd or any(one.path in signed and one.sha256 != signed[one.path] for one in odd))
    )


def _short_of(rebuilt: Rebuild, release: predicates.Release, asked: Rebuilders) -> str | None:
    """What a rebuild lacks to count; None where it counts."""
    if rebuilt.verdict not in STRENGTH[: STRENGTH.index(asked.verdict) + 1]:
        return f"its verdict is {rebuilt.verdict}"
    if rebuilt.source != release.source.commit:
        return f"it is of commit {(rebuilt.source or 'unknown')[:12]}, the release of {release.source.commit[:12]}"
    if rebuilt.environment not in asked.environments:
        wanted = " or ".join(asked.environments)
        return f"its packages are {rebuilt.environment or 'untold'}, the policy asks for {wanted}"
    if asked.walled and not rebuilt.walled:
        return "its code was not walled in, or that is untold; the policy asks for it"
    if rebuilt.verdict == "WITHIN" and (rebuilt.tolerance is None or rebuilt.tolerance > asked.max_tolerance):
        told = "untold" if rebuilt.tolerance is None else f"{rebuilt.tolerance:g}"
        return f"its tolerance is {told}, the policy allows {asked.max_tolerance:g}"
    if rebuilt.outputs is None:
        return "it does not say what came out"
    signed = {file.path: file.sha256 for file in release.files}
    if any(one.sha256 != signed.get(one.path) for one in rebuilt.outputs if one.verdict == "BITWISE"):
        return "it calls other bytes than the signed ones BITWISE"
    if absent := sorted(set(release.weights) - {one.path for one in rebuilt.outputs}):
        return f"it does not speak of {', '.join(absent[:3])}"
    return None


def _signed(case: Case) -> predicates.Release:
    if case.signed is None:
        raise _unknown("no verified release statement to judge by")
    return case.signed


def _unknown(found: str) -> Unavailable:
    return Unavailable(found, mend="see the other steps")


def _fail(found: str) -> VerificationError:
    return VerificationError(found, mend="do not use the release under this policy")
