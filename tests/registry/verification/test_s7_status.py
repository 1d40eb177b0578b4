"""Step 7: a word that may be missing, comes from the future, or is numbered twice is never passed over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.predicates import Status
from registry.attest.statement import Statement, Subject
from registry.digest import sha256_bytes
from registry.errors import InputError, Unavailable
from registry.hub.client import HubClient
from registry.hub.reference import DirectoryReference, parse
from registry.report import Report, Verdict
from registry.verification import evidence
from registry.verification.case import Evidence, Gathered
from registry.verification.evidence import gather
from registry.verification.memory import Memory
from registry.verification.request import Request
from registry.verification.steps import verify
from tests.authority import SIGNER, Authority, StandingClock, root_pem
from tests.registry.attest.conftest import write_key
from tests.registry.verification.conftest import MAINTAINER
from tests.registry.verification.words import Sign, answers, named, reasons, statement_of
from tests.sigstore_instance.tsa import TimestampAuthority

NOW = datetime.now(UTC)


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Branch:
    """Words on one release, each linked to the one before, signed by one key."""

    def __init__(self, release: Path, key: KeySigner) -> None:
        self.subject = statement_of(release).subjects[0]
        self.key = key
        self.said: list[Evidence] = []
        self.previous: str | None = None

    def say(self, standing: Any = "active", at: datetime = NOW, **fields: Any) -> Evidence:
        number = len(self.said) + 1
        word = Status(
            standing=standing, reason="so it is", stated_at=stamp(at), number=number, previous=self.previous, **fields
        )
        statement = word.about([self.subject])
        self.previous = sha256_bytes(statement.to_bytes())
        self.said.append(Evidence(f"{number}", self.key.sign(statement)))
        return self.said[-1]


@pytest.fixture
def branch(release: Path, private_key: Path) -> Branch:
    return Branch(release, KeySigner(private_key))


@pytest.fixture
def private_key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "private.pem")


@pytest.fixture
def standing(ask: Callable[..., Report], branch: Branch) -> Iterator[Callable[..., Verdict]]:
    """What step 7 says of these words, by a policy that names the branch's key beside the maintainer."""

    def asked(*words: Evidence, **fields: Any) -> Verdict:
        signers = [named(MAINTAINER), {"kind": "key", "pem": branch.key.public_key.pem}]
        (verdict,) = set(answers(ask(*words, signers=signers, **fields), 7).values())
        return verdict

    yield asked


def test_a_chain_that_is_whole_passes(branch: Branch, standing: Callable[..., Verdict]) -> None:
    words = [branch.say() for _ in range(4)]
    assert standing(*words) is Verdict.PASS and standing(*words[::-1]) is Verdict.PASS
    assert standing(*words, status={"maxAgeDays": 1}) is Verdict.PASS


def test_a_word_that_is_held_back_is_missed(branch: Branch, standing: Callable[..., Verdict]) -> None:
    words = [branch.say(kind) for kind in ("active", "yanked", "active", "active")]
    assert standing(*words) is Verdict.FAIL
    for place in range(3):
        rest = [word for number, word in enumerate(words) if number != place]
        assert standing(*rest) is (Verdict.UNKNOWN if place == 1 else Verdict.FAIL)


def test_a_word_of_a_number_that_does_not_follow_is_missed(branch: Branch, standing: Callable[..., Verdict]) -> None:
    """Whoever says word 3 has seen two: that word 3 names the first as the one before shows that one is kept back."""
    first = branch.say()
    branch.said.append(first)  # so that the next is number 3
    assert standing(first, branch.say()) is Verdict.UNKNOWN


def test_a_yank_in_the_chain_whose_signature_was_spoilt_is_missed(
    branch: Branch, standing: Callable[..., Verdict]
) -> None:
    first, yank = branch.say(), branch.say("yanked")
    spoilt = Evidence(yank.name, re.sub(rb'"sig":"..', b'"sig":"AA', yank.data))
    assert spoilt.data != yank.data
    assert standing(first, spoilt) is Verdict.PASS  # by nobody: so anybody can write
    assert standing(first, spoilt, branch.say(), branch.say()) is Verdict.UNKNOWN


def test_a_yank_holds_for_good_whatever_is_said_later(branch: Branch, standing: Callable[..., Verdict]) -> None:
    words = [branch.say("yanked", NOW - timedelta(days=9)), *(branch.say() for _ in range(5))]
    assert standing(*words) is Verdict.FAIL


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(days=1), timedelta(days=4000)])
def test_a_word_from_the_future_is_heard(branch: Branch, standing: Callable[..., Verdict], ahead: timedelta) -> None:
    first = branch.say()
    later = branch.say("active", NOW + ahead)
    assert (
        standing(first, later) is Verdict.UNKNOWN
        and standing(first, later, status={"maxAgeDays": 9}) is Verdict.UNKNOWN
    )
    yank = branch.say("yanked", NOW + ahead)
    assert standing(first, later, yank) is Verdict.FAIL


def test_two_words_of_one_number_are_a_fork(
    branch: Branch, release: Path, private_key: Path, standing: Callable[..., Verdict]
) -> None:
    other = Branch(release, branch.key)
    mine, theirs = branch.say(), other.say("superseded", successor="v9.9.9")
    assert standing(mine, theirs) is Verdict.FAIL and standing(mine, mine) is Verdict.PASS


def test_a_word_holds_no_longer_than_it_says(branch: Branch, standing: Callable[..., Verdict]) -> None:
    word = branch.say("active", NOW - timedelta(days=9), valid_until=stamp(NOW - timedelta(days=1)))
    assert standing(word) is Verdict.UNKNOWN
    assert standing(word, branch.say(valid_until=stamp(NOW + timedelta(days=1)))) is Verdict.PASS


def test_old_words_without_numbers_stand_beside_numbered_ones(
    branch: Branch,
    standing: Callable[..., Verdict],
    say: Sign,
) -> None:
    old = say(MAINTAINER, Status(standing="active", reason="x", stated_at="2026-01-01T00:00:00Z"))
    yanked = say(MAINTAINER, Status(standing="yanked", reason="x", stated_at="2026-01-01T00:00:00Z"))
    numbered = branch.say()
    assert standing(old, numbered) is Verdict.PASS and standing(old, yanked, numbered) is Verdict.FAIL


def test_a_yank_whose_certificate_has_ended_since_is_judged_by_its_day(
    release: Path, verifier: Any, tmp_path: Path
) -> None:
    site = Authority(tmp_path / "site")
    holder = site.issue()
    ends = holder.own.not_valid_after_utc
    policy = {"signers": [named(MAINTAINER), {"kind": "certificate", "identity": SIGNER, "authorities": site.pem}]}
    subject = statement_of(release).subjects[0]
    for word, verdict in (("yanked", Verdict.FAIL), ("active", Verdict.PASS)):
        said = Status(standing=word, reason="x", stated_at=stamp(NOW)).about([subject])  # type: ignore[arg-type]
        gathered = Gathered((Evidence("word", holder.signer.sign(said)),))
        trusting = verifier.with_policy(type(verifier.policy).of(policy))
        later = ends + timedelta(days=1)
        report = verify(release, DirectoryReference(release), "", trusting, gathered=gathered, now=later)
        assert set(answers(report, 7).values()) == {verdict}


def test_an_old_word_that_is_stamped_again_is_as_old_as_it_was(
    release: Path, private_key: Path, tmp_path: Path, ask: Callable[..., Report]
) -> None:
    """Anybody who has the bundle can have its signature stamped today. That does not make the word younger."""
    authority = TimestampAuthority(tmp_path)
    old, new = NOW - timedelta(days=90), NOW - timedelta(minutes=1)
    subject = statement_of(release).subjects[0]
    for stated, verdict in ((old, Verdict.UNKNOWN), (new, Verdict.PASS)):
        said = Status(standing="active", reason="x", stated_at=stamp(stated)).about([subject])
        key = KeySigner(private_key, StandingClock(authority, new))
        rule = {"kind": "key", "pem": key.public_key.pem, "timestampAuthorities": root_pem(authority)}
        report = ask(Evidence("word", key.sign(said)), signers=[named(MAINTAINER), rule], status={"maxAgeDays": 30})
        assert set(answers(report, 7).values()) == {verdict}, reasons(report, 7)


@pytest.mark.parametrize("also", [[], [Subject("other/model@v1.0.0", "1" * 64)]])
@pytest.mark.parametrize("name", [None, "renamed/model@v1.0.0"])
def test_a_yank_counts_whatever_else_and_by_whatever_name_it_takes_back(
    branch: Branch, standing: Callable[..., Verdict], name: str | None, also: list[Subject]
) -> None:
    subjects, first = [Subject(name or branch.subject.name, branch.subject.sha256), *also], branch.say()
    for word, verdict in (("yanked", Verdict.FAIL), ("active", Verdict.PASS)):
        said = Status(standing=word, reason="x", stated_at=stamp(NOW)).about(subjects)  # type: ignore[arg-type]
        assert standing(first, Evidence("word", branch.key.sign(said))) is verdict


def test_a_word_of_another_version_by_who_may_speak_is_unknown(
    branch: Branch, standing: Callable[..., Verdict], tmp_path: Path
) -> None:
    said = Status(standing="yanked", reason="x", stated_at=stamp(NOW)).about([branch.subject])
    first = branch.say()
    for kind, predicate in (
        (said.predicate_type, {**said.predicate, "new": 1}),
        (said.predicate_type, {**said.predicate, "standing": "revoked"}),
        (said.predicate_type.replace("/v1", "/v2"), dict(said.predicate)),
    ):
        statement = Statement((branch.subject,), kind, predicate)
        assert standing(first, Evidence("new", branch.key.sign(statement))) is Verdict.UNKNOWN
        stranger = KeySigner(write_key(tmp_path / "stranger.pem"))
        assert standing(first, Evidence("new", stranger.sign(statement))) is Verdict.PASS


@pytest.mark.parametrize("kind", ["yanked", "active"])
def test_numbers_and_links_go_together(kind: Any) -> None:
    for fields in ({"previous": "0" * 64}, {"number": 1, "previous": "0" * 64}, {"number": 2}, {"number": 0}):
        with pytest.raises(ValueError, match=r"number|before|greater"):
            Status(standing=kind, reason="x", stated_at=stamp(NOW), **fields)


def test_a_branch_that_is_not_shown_whole_leaves_it_unknown(
    ask: Callable[..., Report],
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    branch: Branch,
) -> None:
    """A Hub that answers any question on the branch with anything but all of it; other branches do not matter."""
    answers_of: dict[str, Any] = {}

    def words(hub: HubClient, repository: str, asked: str, tag: str) -> list[Evidence]:
        found = answers_of[asked]
        if isinstance(found, Exception):
            raise found
        return list(found)

    monkeypatch.setattr(evidence, "branch_words", words)
    reference = parse("hf://glasshouse/synthetic@v1.0.0")
    lost = InputError("the file is not there", mend="x")
    for problem in (lost, Unavailable("500", mend="x")):
        answers_of.update(status=problem, audits=())
        gathered = gather(reference, release, (), endpoint="http://127.0.0.1:9")
        assert set(gathered.unanswered) == {"status"} and "cannot be read whole" in gathered.unanswered["status"]
        assert "cannot be read whole" in reasons(ask(unanswered=gathered.unanswered["status"]), 7)
        answers_of.update(status=(branch.say(),), audits=problem)
        assert set(gather(reference, release, (), endpoint="http://127.0.0.1:9").unanswered) == {"audits"}


def test_a_candidate_holds_but_is_not_active(branch: Branch, standing: Callable[..., Verdict]) -> None:
    word = branch.say("candidate")
    assert standing(word) is Verdict.PASS and standing(word, status={"maxAgeDays": 9}) is Verdict.UNKNOWN
    assert standing(word, branch.say(), status={"maxAgeDays": 9}) is Verdict.PASS


class Hearing:
    """What step 7 says at one place after another, with one memory."""

    def __init__(self, release: Path, verifier: Any, branch: Branch, folder: Path) -> None:
        policy = {"signers": [named(MAINTAINER), {"kind": "key", "pem": branch.key.public_key.pem}]}
        self.release, self.verifier = release, verifier.with_policy(type(verifier.policy).of(policy))
        self.memory = Memory(folder)

    def __call__(self, *words: Evidence, asked: bool = True, unread: bool = False) -> tuple[Verdict, str]:
        unanswered = {"status": "the branch status cannot be read whole"} if unread else {}
        gathered = Gathered(words, unanswered, asked=asked)
        place = DirectoryReference(self.release)
        request = Request(place, self.verifier, memory=self.memory)
        report = verify(
            self.release, place, "", self.verifier, gathered=gathered, memory=self.memory, told=request._told
        )
        (check,) = [check for check in report.checks if check.step == 7]
        return check.verdict, check.reason


@pytest.fixture
def hearing(release: Path, verifier: Any, branch: Branch, tmp_path: Path) -> Hearing:
    return Hearing(release, verifier, branch, tmp_path / "memory")


def test_a_hub_that_shows_less_than_before_has_gone_back(branch: Branch, hearing: Hearing) -> None:
    words = [branch.say() for _ in range(3)]
    assert hearing(*words)[0] is Verdict.PASS
    verdict, why = hearing(*words[:2])
    assert verdict is Verdict.FAIL and "number 2, and this machine heard number 3" in why
    assert hearing()[0] is Verdict.FAIL
    assert hearing(*words[:2], unread=True)[0] is Verdict.UNKNOWN
    assert hearing(*words[:2], asked=False)[0] is Verdict.UNKNOWN  # a file that somebody gave may well be older
    assert hearing(asked=False)[0] is Verdict.PASS
    assert hearing(*words, branch.say())[0] is Verdict.PASS


def test_another_word_of_the_number_heard_before_is_a_fork(branch: Branch, hearing: Hearing, release: Path) -> None:
    other = Branch(release, branch.key)
    assert hearing(branch.say())[0] is Verdict.PASS
    verdict, why = hearing(other.say("superseded", successor="v9.9.9"))
    assert verdict is Verdict.FAIL and "another word number 1" in why


def test_a_yank_is_remembered_wherever_the_release_lies(branch: Branch, hearing: Hearing) -> None:
    first, yank = branch.say(), branch.say("yanked", severity="critical")
    assert "yanked (critical)" in hearing(first, yank)[1]
    for asked in (True, False):
        verdict, why = hearing(first, asked=asked)
        assert verdict is Verdict.FAIL and "as this machine heard before" in why


def test_what_a_stranger_says_is_not_remembered(branch: Branch, hearing: Hearing, say: Sign) -> None:
    yank = Status(standing="yanked", reason="x", stated_at=stamp(NOW), number=9, previous="0" * 64)
    assert hearing(branch.say(), say("stranger@example.org", yank))[0] is Verdict.PASS
    assert hearing(*branch.said)[0] is Verdict.PASS


def test_a_memory_that_cannot_be_read_leaves_it_unknown(branch: Branch, hearing: Hearing, tmp_path: Path) -> None:
    assert hearing(branch.say())[0] is Verdict.PASS
    (note,) = (tmp_path / "memory").iterdir()
    kept = note.read_bytes()
    for data in (b"", b"{}", kept[:-1], kept.replace(b'"number":1', b'"number":-1'), b"[" * 70_000):
        note.write_bytes(data)
        verdict, why = hearing(*branch.said)
        assert verdict is Verdict.UNKNOWN and "heard of it before cannot be read" in why
        assert note.read_bytes() == data  # nothing is mended in silence


def test_a_memory_that_cannot_be_written_changes_no_answer(branch: Branch, hearing: Hearing, tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file where the folder would be")
    assert hearing(branch.say())[0] is Verdict.PASS


def test_where_the_memory_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Memory.here() is None  # as tests/conftest.py has it
    monkeypatch.setenv("GLASSHOUSE_MEMORY", str(tmp_path))
    assert Memory.here() == Memory(tmp_path)
    monkeypatch.delenv("GLASSHOUSE_MEMORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Memory.here() == Memory(tmp_path / "glasshouse/heard")
