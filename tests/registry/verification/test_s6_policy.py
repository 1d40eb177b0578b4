"""Steps 6 and 7: what a policy asks for is found, found wanting, or not known; the three are never mixed up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from registry.attest import namespace, revocation
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.predicates import Openness, Rebuild, Rebuilt, Standing, Status
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.digest import sha256_file
from registry.files import write_atomic
from registry.hub.reference import DirectoryReference
from registry.records import layout
from registry.records.openness_record import OpennessRecord
from registry.records.release_record import StatedLicences
from registry.release import signing
from registry.report import Report, Verdict
from registry.verification.case import Evidence, Gathered
from registry.verification.steps import verify
from tests import synthetic_release
from tests.authority import DAY, SIGNER, Authority, revoking
from tests.registry.verification.conftest import IDENTITY, MAINTAINER
from tests.registry.verification.words import Sign, answers, named, reasons, statement_of
from tests.sigstore_instance import ISSUER, SigstoreInstance

OPENED = StatedLicences(code="Apache-2.0", data="CC0-1.0", documents="CC-BY-4.0")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
REBUILD: dict[str, Any] = {
    "reason": "every file is the same",
    "profile": "portable",
    "machine": "x86_64",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T01:00:00Z",
    "source": synthetic_release.COMMIT,
    "environment": "fresh",
    "tolerance": 0.0,
}


def came_out(release: Path, verdict: Any = "BITWISE") -> tuple[Rebuilt, ...]:
    """What a rebuild that came to `verdict` says of the weights."""
    digest = "0" * 64 if verdict == "DIFFERENT" else sha256_file(release / layout.WEIGHTS)
    return (Rebuilt(path=layout.WEIGHTS, verdict=verdict, sha256=digest),)


def test_a_policy_that_asks_for_nothing_more_gets_its_signers_counted(ask: Callable[..., Report]) -> None:
    report = ask()
    assert report.verdict is Verdict.PASS
    assert answers(report) == {"signers": Verdict.PASS}
    assert [check.step for check in report.checks] == sorted(check.step for check in report.checks)
    assert {check.step for check in report.checks} == set(range(8))


@pytest.mark.parametrize(
    ("asked", "subject", "verdict"),
    [
        ({"attestations": ["data", "card"]}, "attestation card", Verdict.PASS),
        ({"attestations": ["absent"]}, "attestation absent", Verdict.FAIL),
        ({"openness": "III"}, "openness", Verdict.UNKNOWN),
        ({"licenses": {"weights": ["MIT", "Apache-2.0"]}}, "licence of the weights", Verdict.PASS),
        ({"licenses": {"weights": ["MIT"]}}, "licence of the weights", Verdict.FAIL),
        ({"licenses": {"weights": []}}, "licence of the weights", Verdict.FAIL),
        ({"licenses": {"data": ["MIT", "CC0-1.0"]}}, "licences of the data", Verdict.PASS),
        ({"licenses": {"data": ["MIT"]}}, "licences of the data", Verdict.FAIL),
        ({"evaluation": {"bitsPerByte": {"max": 2.5}}}, "bitsPerByte", Verdict.PASS),
        ({"evaluation": {"bitsPerByte": {"max": 2.49}}}, "bitsPerByte", Verdict.FAIL),
        ({"evaluation": {"nextTokenAccuracy": {"min": 0.26}}}, "nextTokenAccuracy", Verdict.FAIL),
        ({"evaluation": {"mmlu": {"min": 0}}}, "mmlu", Verdict.UNKNOWN),
    ],
)
def test_each_requirement_has_its_own_answer(
    ask: Callable[..., Report], asked: dict[str, Any], subject: str, verdict: Verdict
) -> None:
    report = ask(**asked)
    assert answers(report)[subject] is verdict
    assert report.verdict is verdict


def test_figures_of_an_altered_record_are_not_known(ask: Callable[..., Report], copy: Path) -> None:
    path = copy / layout.EVALUATION
    path.write_bytes(path.read_bytes().replace(b"2.5", b"1.5"))
    report = ask(folder=copy, evaluation={"bitsPerByte": {"max": 2}})
    assert answers(report)["bitsPerByte"] is Verdict.UNKNOWN and report.verdict is Verdict.FAIL


@pytest.mark.parametrize(("asked", "verdict"), [("I", "FAIL"), ("II", "PASS"), ("III", "PASS")])
def test_the_openness_that_a_release_shows_is_compared(
    ask: Callable[..., Report], tmp_path: Path, signer: SigstoreSigner, asked: str, verdict: str
) -> None:
    synthetic_release.write(tmp_path / "open", opened=OPENED)
    signing.sign(tmp_path / "open", signer)
    report = ask(folder=tmp_path / "open", openness=asked, attestations=["openness"])
    assert answers(report)["openness"] == report.verdict == verdict
    assert set(answers(report, 5).values()) == {Verdict.PASS}
    assert {"openness <- its evidence", "openness statement <- records"} <= answers(report, 5).keys()


@pytest.mark.parametrize(("said", "verdict"), [("I", "FAIL"), ("II", "FAIL"), ("III", "FAIL"), (None, "FAIL")])
def test_a_statement_that_says_more_than_the_files_show_fails(
    ask: Callable[..., Report],
    copy: Path,
    signer: SigstoreSigner,
    monkeypatch: pytest.MonkeyPatch,
    said: Any,
    verdict: str,
) -> None:
    """The release of the tests states no licence of its card, so it reaches no class, whatever its signer says."""
    claims = signing._claims

    def more(folder: Path, bare: Any, record: Any) -> Any:
        yield from claims(folder, bare, record)
        yield "openness", Openness(reached=said).about([Subject("README.md", bare.by_path()["README.md"].sha256)])

    monkeypatch.setattr(signing, "_claims", more)
    signing.sign(copy, signer)
    report = ask(folder=copy, openness="III")
    assert answers(report)["openness"] == report.verdict == verdict


def test_a_record_of_openness_that_is_not_what_the_files_show_fails(
    ask: Callable[..., Report], tmp_path: Path, signer: SigstoreSigner
) -> None:
    """Whoever signs can write any record: it is made again from the files, and so is the class."""
    folder = tmp_path / "open"
    synthetic_release.write(folder, opened=OPENED)
    honest = OpennessRecord.read(folder / layout.OPENNESS)
    write_atomic(folder / layout.OPENNESS, honest.model_copy(update={"reached": "I"}).to_bytes())
    signing.sign(folder, signer)
    report = ask(folder=folder, openness="II")
    assert answers(report, 5)["openness <- its evidence"] == answers(report)["openness"] == "FAIL"
    assert answers(report, 5)["openness statement <- records"] == "PASS"
    assert "research-paper" in reasons(report, 6)


def test_a_second_signer_is_counted_once_and_only_for_the_samestatement_of(
    ask: Callable[..., Report], release: Path, sigstore: SigstoreInstance
) -> None:
    def cosigned(identity: str, statement: Statement) -> Evidence:
        signer = SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(identity))
        return Evidence(identity, signer.sign(statement))

    statement = statement_of(release)
    two = {"signers": [named(MAINTAINER), named("second@example.org"), named("third@example.org")], "threshold": 2}
    other = Statement(statement.subjects, statement.predicate_type, {**statement.predicate, "version": "v9"})
    assert answers(ask(**two))["signers"] is Verdict.FAIL
    for evidence in (
        cosigned(MAINTAINER, statement),
        cosigned("stranger@example.org", statement),
        cosigned("second@example.org", other),
        Evidence("noise", b"{}"),
    ):
        assert answers(ask(evidence, evidence, **two))["signers"] is Verdict.FAIL, evidence.name
    assert answers(ask(cosigned("second@example.org", statement), **two))["signers"] is Verdict.PASS


def rebuilt(release: Path, verdict: Any = "BITWISE", **changed: Any) -> Rebuild:
    """A rebuild as an auditor states it."""
    fields = {"outputs": came_out(release, verdict)} | REBUILD | changed
    return Rebuild(verdict=verdict, **fields)


def test_rebuilders_are_counted_by_name_and_verdict(ask: Callable[..., Report], say: Sign, release: Path) -> None:
    asked = {"rebuilders": {"atLeast": 2, "verdict": "TENSORS", "signers": [named(f"{x}@audit.test") for x in "abc"]}}
    good = rebuilt(release)
    one, two = (say(f"{x}@audit.test", good) for x in "ab")
    weak = say("b@audit.test", rebuilt(release, "WITHIN"))
    stranger = say("d@audit.test", good)
    elsewhere = say("b@audit.test", good, Subject("other@v1", "0" * 64))
    for evidence in ((), (one,), (one, one), (one, weak), (one, stranger), (one, elsewhere)):
        assert answers(ask(*evidence, **asked))["rebuilders"] is Verdict.UNKNOWN
    assert answers(ask(one, two, **asked))["rebuilders"] is Verdict.PASS
    against = say("c@audit.test", rebuilt(release, "DIFFERENT"))
    assert answers(ask(one, two, against, **asked))["rebuilders"] is Verdict.FAIL


@pytest.mark.parametrize("changed", [
    {"source": "d" * 40}, {"environment": "current"}, {"outputs": "signed"}, {"outputs": "foreign"},
])  # fmt: skip
def test_a_rebuild_that_shows_nothing_accuses_nobody(
    ask: Callable[..., Report], say: Sign, release: Path, changed: dict[str, Any]
) -> None:
    """DIFFERENT, but of another commit, in packages that do not count, of the signed bytes, or of no file of it."""
    against = rebuilt(release, "DIFFERENT")
    if isinstance(what := changed.get("outputs"), str):
        (weights,) = came_out(release, "BITWISE")
        path, sha256 = (weights.path, weights.sha256) if what == "signed" else ("absent", "0" * 64)
        changed = {"outputs": (Rebuilt(path=path, verdict="DIFFERENT", sha256=sha256),)}
    asked = {"rebuilders": {"atLeast": 1, "signers": [named("a@audit.test")]}}
    assert answers(ask(say("a@audit.test", against), **asked))["rebuilders"] is Verdict.FAIL
    shown = say("a@audit.test", against.model_copy(update=changed))
    assert answers(ask(shown, **asked))["rebuilders"] is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("changed", "policy", "verdict"),
    [
        ({}, {}, "PASS"),
        ({"source": "d" * 40}, {}, "UNKNOWN"),
        ({"source": None}, {}, "UNKNOWN"),
        ({"outputs": None}, {}, "UNKNOWN"),
        ({"environment": "current"}, {}, "UNKNOWN"),
        ({"environment": None}, {}, "UNKNOWN"),
        ({"environment": "current"}, {"environments": ["fresh", "current"]}, "PASS"),
        ({"walled": True}, {"walled": True}, "PASS"),
        ({"walled": False}, {"walled": True}, "UNKNOWN"),
        ({"walled": None}, {"walled": True}, "UNKNOWN"),
        ({"tolerance": 0.01}, {"verdict": "WITHIN", "maxTolerance": 0.01}, "PASS"),
        ({"tolerance": 0.02}, {"verdict": "WITHIN", "maxTolerance": 0.01}, "UNKNOWN"),
        ({"tolerance": 1e9}, {"verdict": "WITHIN", "maxTolerance": 0.01}, "UNKNOWN"),
        ({"tolerance": None}, {"verdict": "WITHIN", "maxTolerance": 0.01}, "UNKNOWN"),
    ],
)
def test_a_rebuild_counts_as_the_policy_bounds_it(
    ask: Callable[..., Report],
    say: Sign,
    release: Path,
    changed: dict[str, Any],
    policy: dict[str, Any],
    verdict: str,
) -> None:
    said = rebuilt(release, policy.get("verdict", "BITWISE"), **changed)
    asked = {"rebuilders": {"atLeast": 1, "signers": [named("a@audit.test")], **policy}}
    assert answers(ask(say("a@audit.test", said), **asked))["rebuilders"] == verdict


@pytest.mark.parametrize("prefix", namespace.PREFIXES)
def test_an_auditors_word_and_a_yank_count_under_each_prefix(
    ask: Callable[..., Report], say: Sign, release: Path, prefix: str
) -> None:
    class OldRebuild(Rebuild):
        TYPE = prefix + "attestation/rebuild/v1"

    class OldStatus(Status):
        TYPE = prefix + "attestation/status/v1"

    asked = {"rebuilders": {"atLeast": 1, "verdict": "BITWISE", "signers": [named("a@audit.test")]}}
    said = say("a@audit.test", OldRebuild(verdict="BITWISE", outputs=came_out(release), **REBUILD))
    assert answers(ask(said, **asked))["rebuilders"] is Verdict.PASS
    yanked = OldStatus(standing="yanked", reason="so it is", stated_at="2026-01-01T00:00:00Z")
    assert ask(say(MAINTAINER, yanked)).verdict is Verdict.FAIL


def test_a_rebuild_whose_outputs_are_not_the_release_does_not_count(
    ask: Callable[..., Report], say: Sign, release: Path
) -> None:
    """It names what came out: all of the weights, and where it says BITWISE the signed bytes."""
    asked = {"rebuilders": {"atLeast": 1, "signers": [named("a@audit.test")]}}
    (weights,) = came_out(release)
    card = Rebuilt(path=layout.CARD, verdict="BITWISE", sha256=sha256_file(release / layout.CARD))
    other = weights.model_copy(update={"sha256": "0" * 64})
    for outputs, verdict in (
        ((weights, card), Verdict.PASS),
        ((other, card), Verdict.UNKNOWN),
        ((card,), Verdict.UNKNOWN),
    ):
        said = say("a@audit.test", rebuilt(release, outputs=outputs))
        assert answers(ask(said, **asked))["rebuilders"] is verdict


def test_the_maintainer_is_no_independent_rebuilder(ask: Callable[..., Report], say: Sign, release: Path) -> None:
    own = say(MAINTAINER, rebuilt(release))
    asked = {"rebuilders": {"atLeast": 1, "signers": [named(MAINTAINER)]}}
    assert answers(ask(own, **asked))["rebuilders"] is Verdict.UNKNOWN


def test_nor_is_whoever_else_signed_the_release(
    ask: Callable[..., Report], say: Sign, release: Path, sigstore: SigstoreInstance
) -> None:
    second = "second@example.org"
    signer = SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(second))
    cosigned = Evidence("cosigned", signer.sign(statement_of(release)))
    own, other = say(second, rebuilt(release)), say("a@audit.test", rebuilt(release))
    rebuilders = {"rebuilders": {"atLeast": 1, "signers": [named(second), named("a@audit.test")]}}
    two = {"signers": [named(MAINTAINER), named(second)], "threshold": 2}
    for policy in (rebuilders, rebuilders | two):  # whether or not the policy asks for that signature
        assert answers(ask(cosigned, own, **policy))["rebuilders"] is Verdict.UNKNOWN
        assert answers(ask(cosigned, own, other, **policy))["rebuilders"] is Verdict.PASS


def test_one_person_counts_once_by_whatever_rule_name_and_key(
    ask: Callable[..., Report], copy: Path, tmp_path: Path, sigstore: SigstoreInstance
) -> None:
    """A key bare and in a certificate, one name by two authorities, one workflow under two commits."""
    site, other = Authority(tmp_path / "site"), Authority(tmp_path / "other")
    holder = site.issue()
    shutil.copyfile(holder.key, other.folder / "signer.key")
    again = other.issue()
    bare = KeySigner(holder.key)

    def threshold(first: Any, rules: list[Any], *others: Any) -> Verdict:
        signing.sign(copy, first)
        evidence = [Evidence(str(place), signer.sign(statement_of(copy))) for place, signer in enumerate(others)]
        return answers(ask(*evidence, folder=copy, signers=rules, threshold=2))["signers"]

    certified = {"kind": "certificate", "identity": SIGNER, "authorities": site.pem}
    elsewhere = {"kind": "certificate", "identity": SIGNER, "authorities": other.pem}
    key = {"kind": "key", "pem": bare.public_key.pem}
    assert threshold(holder.signer, [certified, key], bare) is Verdict.FAIL
    assert threshold(holder.signer, [certified, elsewhere], again.signer) is Verdict.FAIL
    assert threshold(holder.signer, [certified, elsewhere], other.issue("new").signer) is Verdict.FAIL
    third = site.issue("third", identity=x509.RFC822Name("third@site.test"))
    fourth = {"kind": "certificate", "identity": "third@site.test", "authorities": site.pem}
    assert threshold(holder.signer, [certified, fourth], third.signer) is Verdict.PASS

    workflow = "https://github.com/org/model/.github/workflows/release.yml@refs/heads/"
    pipeline = {"kind": "ci", "issuer": ISSUER, "repository": "https://github.com/org/model"}
    claims = {"repository": "https://github.com/org/model"}
    one, two = (
        SigstoreSigner(
            sigstore.trust_config_path,
            identity_token=sigstore.token(workflow + branch, claims=claims | {"commit": commit * 40}),
        )
        for branch, commit in (("main", "a"), ("next", "b"))
    )
    rules = [pipeline | {"commit": commit * 40} for commit in "ab"]
    assert threshold(one, rules, two) is Verdict.FAIL
    assert threshold(one, [*rules, named(f"{workflow}main")], one, two) is Verdict.FAIL


def status(standing: Standing, **fields: Any) -> Status:
    return Status(standing=standing, reason="so it is", stated_at="2026-01-01T00:00:00Z", **fields)


def test_a_fresh_word_that_it_stands_passes_and_none_is_unknown(ask: Callable[..., Report], say: Sign) -> None:
    fresh = {"status": {"maxAgeDays": 30}}
    assert ask(**fresh).verdict is Verdict.UNKNOWN
    assert ask(say(MAINTAINER, status("active")), **fresh).verdict is Verdict.PASS
    assert ask(say("stranger@example.org", status("active")), **fresh).verdict is Verdict.UNKNOWN
    elsewhere = say(MAINTAINER, status("active"), Subject("other@v1", "0" * 64))
    assert ask(elsewhere, **fresh).verdict is Verdict.UNKNOWN


def test_a_yanked_release_fails_whether_or_not_the_policy_asks(ask: Callable[..., Report], say: Sign) -> None:
    before, yanked = say(MAINTAINER, status("active")), say(MAINTAINER, status("yanked"))
    for asked in ({}, {"status": {"maxAgeDays": 30}}):
        assert ask(before, yanked, **asked).verdict is Verdict.FAIL
    assert ask(say("stranger@example.org", status("yanked"))).verdict is Verdict.PASS
    words = reasons(ask(say(MAINTAINER, status("superseded", successor="v1.0.1"))), 7)
    assert "superseded" in words and "v1.0.1" in words


def test_an_old_word_is_not_enough(release: Path, verifier: Verifier, say: Sign, sigstore: SigstoreInstance) -> None:
    policy = Policy.of({"signers": [IDENTITY.as_json()], "status": {"maxAgeDays": 30}})
    gathered = Gathered((say(MAINTAINER, status("active")),))

    def at(now: datetime) -> Report:
        reference = DirectoryReference(release)
        return verify(release, reference, "", verifier.with_policy(policy), gathered=gathered, now=now)

    now = datetime.now(UTC)
    assert at(now + timedelta(days=29)).verdict is Verdict.PASS
    assert at(now + timedelta(days=31)).verdict is Verdict.UNKNOWN
    assert at(now - timedelta(days=1)).verdict is Verdict.UNKNOWN  # a word from the future is none


def test_a_hub_that_did_not_answer_leaves_the_status_unknown(ask: Callable[..., Report]) -> None:
    report = ask(unanswered="the Hub does not answer")
    assert report.verdict is Verdict.UNKNOWN and "does not answer" in reasons(report, 7)


def test_who_is_on_a_list_that_does_not_tell_neither_counts_nor_is_passed_over(
    ask: Callable[..., Report], release: Path, tmp_path: Path
) -> None:
    """A second signer, and whoever yanks it, by a certificate of which nobody knows whether it was taken back."""
    site, now = Authority(tmp_path), datetime.now(UTC)
    second, subject = site.issue(), statement_of(release).subjects[0]
    cosigned = Evidence("second", second.signer.sign(statement_of(release)))
    yanked = Evidence("yanked", second.signer.sign(status("yanked").about([subject])))
    signers: list[Any] = []
    for taken, lists_of_root in (({}, False), ({}, True), ({second.own: now}, True)):
        lists = [revocation.pem(revoking(site.issuing, site.issuing_key, taken, begin=now - DAY, end=now + DAY))]
        if lists_of_root:
            lists.append(revocation.pem(revoking(site.root, site.root_key, {}, begin=now - DAY, end=now + DAY)))
        rule = {"kind": "certificate", "identity": SIGNER, "authorities": site.pem, "revocationLists": lists}
        signers.append([IDENTITY.as_json(), rule])
    silent, clean, revoked = signers
    for who, counted, standing in (
        (silent, Verdict.UNKNOWN, Verdict.UNKNOWN),
        (clean, Verdict.PASS, Verdict.FAIL),
        (revoked, Verdict.FAIL, Verdict.PASS),
    ):
        assert answers(ask(cosigned, signers=who, threshold=2))["signers"] is counted
        assert answers(ask(cosigned, signers=who))["signers"] is Verdict.PASS  # the first is enough
        assert set(answers(ask(yanked, signers=who), 7).values()) == {standing}
        assert set(answers(ask(cosigned, signers=who), 7).values()) == {Verdict.PASS}  # it is no word on that
