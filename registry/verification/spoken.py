"""What was said of a release's status by those who may speak of it, in its order; and what of it is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from registry.attest import namespace
from registry.attest.policy import Policy
from registry.attest.predicates import Status
from registry.attest.signature import SignedBy, SignedByIdentity
from registry.attest.signers import AllowedSigner
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, SignatureError, Unavailable, VerificationError
from registry.verification.case import Case, Evidence, unverified

WORDS = Status.TYPE.rpartition("/")[0] + "/"
"""How the types of words on a status begin."""
LATE = datetime.max.replace(tzinfo=UTC)
BRANCH = "status"
"""Where words on releases stand in their repository."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a signer whom the policy names said of the release."""

    at: datetime
    """When it was said."""
    status: Status
    """What was said."""
    signer: SignedBy
    """Who said it."""
    digest: str
    """SHA-256 of the statement."""

    def __str__(self) -> str:
        go_to = f"; go to {self.status.successor}" if self.status.successor else ""
        grave = f" ({self.status.severity})" if self.status.severity else ""
        return f"{self.status.standing}{grave} since {self.at:%Y-%m-%d}: {self.status.reason} ({self.signer}){go_to}"

    @property
    def yanked(self) -> bool:
        """Whether it takes the release back."""
        return self.status.standing == "yanked"


@dataclass
class Heard:
    """All that was said of the release."""

    words: list[Word] = field(default_factory=list)
    """What those said who may."""
    there: dict[str, Status] = field(default_factory=dict)
    """All statements about the release by their digest, whoever signed them."""
    untold: list[tuple[datetime, str]] = field(default_factory=list)
    """(when, why) of each word whose signer cannot be told."""

    @property
    def yank(self) -> Word | None:
        """The word that takes the release back, if there is one."""
        return next((word for word in self.words if word.yanked), None)

    @property
    def numbered(self) -> list[Word]:
        """The words that have a number, by it."""
        return sorted((word for word in self.words if word.status.number), key=_number)

    @property
    def newest(self) -> Word | None:
        """The last of the chain, or a later word without a number, as they were before words were numbered."""
        last = self.numbered[-1] if self.numbered else None
        loose = [word for word in self.words if word.status.number is None and (last is None or word.at > last.at)]
        return max(loose, key=lambda word: word.at, default=last)

    @property
    def fork(self) -> tuple[Word, Word] | None:
        """Two words of one number, if there are such."""
        by_number: dict[int, Word] = {}
        for word in self.numbered:
            other = by_number.setdefault(_number(word), word)
            if other.digest != word.digest:
                return other, word
        return None

    @property
    def gaps(self) -> list[int]:
        """The numbers of words whose word before is not at hand: the one of the number before, which they name."""
        return [number for word in self.numbered if (number := _number(word)) > 1 and self._before(word) != number - 1]

    def _before(self, word: Word) -> int | None:
        """The number of the word that `word` names as the one before; None where that is not at hand."""
        before = self.there.get(word.status.previous or "")
        return before.number if before else None

    @property
    def passed_over(self) -> list[int]:
        """The numbers of yanks on which later words rest, though nobody who may speak is known to have said them."""
        found, left = dict[str, Status](), [word.status.previous for word in self.numbered]
        while left:
            if (digest := left.pop()) is not None and digest not in found and digest in self.there:
                found[digest] = self.there[digest]
                left.append(self.there[digest].previous)
        own = {word.digest for word in self.words}
        return sorted(
            said.number or 0 for digest, said in found.items() if said.standing == "yanked" and digest not in own
        )


def _number(word: Word) -> int:
    return word.status.number or 0


def speakers(policy: Policy) -> tuple[AllowedSigner, ...]:
    """Who may speak of a release's status."""
    return policy.status.signers if policy.status and policy.status.signers else policy.signers


def hear(case: Case) -> Heard:
    """What was said of this release, of all that is at hand. To be asked once step 4 has passed."""
    verifier = case.verifier.with_policy(Policy(signers=speakers(case.verifier.policy)))
    heard = Heard()
    for item in case.gathered.evidence:
        try:
            statement = unverified(item.data)
        except GlasshouseError:
            continue  # no word on a status
        if not _is_word(statement, case.subject):
            continue
        try:
            said = Status.of(statement)
        except GlasshouseError as problem:
            _hear_unread(heard, verifier, item, problem)
            continue
        if list(statement.subjects) == [case.subject] or said.standing == "yanked":
            heard.there[sha256_bytes(statement.to_bytes())] = said
            _hear(heard, verifier, item, statement, said)
    return heard


def _is_word(statement: Statement, release: Subject | None) -> bool:
    """Whether it is a word on a status, in whichever version of the format, that speaks of the files of `release` too.

    A yank counts by whatever name it calls them, and whatever else it takes back.
    """
    spoken_of = release is not None and any(subject.sha256 == release.sha256 for subject in statement.subjects)
    return spoken_of and namespace.read(statement.predicate_type).startswith(WORDS)


def _hear_unread(heard: Heard, verifier: Verifier, item: Evidence, why: GlasshouseError) -> None:
    """Enter that somebody who may speak said what this version cannot read: it could be a yank."""
    try:
        verifier.verify(item.data, name=BRANCH)
    except VerificationError:
        return  # by nobody who may speak of it
    except GlasshouseError:
        pass  # whether they may cannot be told either
    heard.untold.append((LATE, f"a word on its status cannot be read here: {item.name}: {why.message}"))


def _hear(heard: Heard, verifier: Verifier, item: Evidence, statement: Statement, said: Status) -> None:
    """Enter one word, if it is by somebody who may speak; a yank also where its certificate has ended since."""
    stated = datetime.fromisoformat(said.stated_at)
    try:
        try:
            verified = verifier.verify(item.data, name=BRANCH)
        except SignatureError:
            if said.standing != "yanked":
                raise
            verified = verifier.at(stated).verify(item.data, name=BRANCH)
    except Unavailable as problem:
        words = f"whether this word on its status counts cannot be told: {item.name}: {problem.message}"
        heard.untold.append((stated, words))
    except GlasshouseError:
        return  # by nobody who may speak of it
    else:
        if verified.statement == statement:
            digest = sha256_bytes(statement.to_bytes())
            heard.words.append(Word(_said_at(verified.signer, stated), said, verified.signer, digest))


def _said_at(signer: SignedBy, stated: datetime) -> datetime:
    """When a word was said: as the log shows, or else on the day that it states, and by its timestamp at the latest.

    Anybody can have an old signature stamped again. So a timestamp never makes a word younger than it says it is.
    """
    if isinstance(signer, SignedByIdentity):
        return signer.signed_at
    return min(stated, signer.signed_at) if signer.signed_at else stated
