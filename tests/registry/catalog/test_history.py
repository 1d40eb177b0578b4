"""The signed history: releases, words on their status and audits, in their order, each with who signed it."""

from __future__ import annotations

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.predicates import Rebuild
from registry.attest.verifier import Verifier
from registry.catalog import entry, history, shelves
from registry.catalog.entry import Whom
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.release import status
from registry.report import Verdict
from registry.verification.case import Evidence
from tests.published import World
from tests.registry.attest.conftest import write_key
from tests.registry.catalog.conftest import FIRST
from tests.synthetic_release import COMMIT


class Audited:
    """A place on a Hub, and what is said on one of its branches."""

    def __init__(self, place: shelves.ReleaseShelf, words: list[Evidence]) -> None:
        self.reference, self.commit, self.read, self.file = place.reference, place.commit, place.read, place.file
        self._place, self._words = place, words

    def words(self, branch: str) -> list[Evidence]:
        return self._words if branch == "audits" else self._place.words(branch)


def test_everything_that_was_signed_is_told_in_order(world: World, whom: Whom) -> None:
    key, hub = KeySigner(world.folder / "private.pem"), HubClient()
    bundle = status.of_directory(world.folder / "model")
    for standing in ("active", "superseded"):
        successor = "v1.0.1" if standing == "superseded" else None
        said = status.statement(bundle, standing, "because", successor, after=status.link(bundle, hub))
        status.publish(said, key.sign(said), hub)
    found = entry.read(shelves.find(FIRST, endpoint=None), whom)
    rebuild = Rebuild(
        verdict="BITWISE", reason="all of it", profile="portable", machine="x", started_at="2027-01-01T00:00:00Z",
        finished_at="2027-01-01T00:00:00Z", source=COMMIT, environment="fresh", outputs=(),
    ).about([found.subject])  # fmt: skip
    stranger = KeySigner(write_key(world.folder / "stranger.pem"))
    words = [Evidence("audits:1", stranger.sign(rebuild)), Evidence("audits:2", b"junk")]
    audited = entry.read(Audited(found.shelf, words), whom)
    events = history.events([audited])
    assert [event.what for event in events] == ["release", "status", "status", "rebuild"]
    assert [history.verdict(event) for event in events] == [Verdict.PASS, Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert "go to v1.0.1" in events[2].words and "BITWISE" in events[3].words
    auditor = {"atLeast": 1, "signers": [{"kind": "key", "pem": stranger.public_key.pem}]}
    policy = Policy.of({"signers": [{"kind": "key", "pem": key.public_key.pem}], "rebuilders": auditor}, name="policy")
    expecting = entry.read(audited.shelf, Whom(whom.trust, Verifier(policy)))
    assert [history.verdict(event) for event in history.events([expecting])] == [Verdict.PASS] * 4
    assert not any(event.shown for event in events)  # keys without timestamps: only the signer says when


def test_a_branch_that_is_not_shown_is_told(world: World, whom: Whom) -> None:
    from registry.errors import Unavailable

    place = shelves.find(FIRST, endpoint=None)
    assert isinstance(place.reference, HubReference)

    class Silent(Audited):
        def words(self, branch: str) -> list[Evidence]:
            raise Unavailable("nothing comes", mend="wait")

    events = history.events([entry.read(Silent(place, []), whom)])
    assert [event.what for event in events] == ["unread", "unread", "release"]
    assert all("nothing comes" in event.words for event in events[:2])
