"""Files of verdicts as an auditor's `glasshouse audit` writes them, without the audit."""

from __future__ import annotations

from typing import Any

from registry import canonical
from registry.attest.audits import Challenge, Reevaluation, Replay, ReplayedSegment, ReplayVerdict
from registry.attest.predicates import Rebuild
from registry.attest.statement import Subject
from registry.audit import evaluation_verdict
from registry.audit.evaluation_verdict import EvaluationDetails
from registry.audit.rebuild_verdict import Details, resting_on
from registry.audit.replay_verdict import Remade, concluded
from registry.audit.verdict_file import VerdictFile
from registry.report import Check, Report, Step, Verdict
from tests import synthetic_release

SUBJECT = Subject("glasshouse/small@v1.0.0", "a" * 64)
NOW = "2026-01-01T00:00:00Z"
SAME = {"path": "model.safetensors", "verdict": "BITWISE", "counted": True, "signed": "e" * 64, "found": "e" * 64,
        "reason": ""}  # fmt: skip
OTHER = SAME | {"path": "tokenizer.json", "verdict": "DIFFERENT", "found": "f" * 64, "reason": "other bytes"}
HERE = synthetic_release.environment()


def details(*outputs: dict[str, Any], **changes: Any) -> Details:
    """What a rebuild rests on."""
    facts = {
        "outputs": outputs or (SAME,),
        "departs": (),
        "tolerance": 0.0,
        "environment": HERE.as_json(),
        "cannot": (),
    }
    return Details.from_json(facts | changes, name="details")


def rebuild(found: Details | None = None, subject: Subject = SUBJECT, **facts: Any) -> VerdictFile:
    """The file that an honest auditor's rebuild writes.  facts: further fields of the statement."""
    found = found or details()
    made: dict[str, Any] = {"profile": "portable", "machine": "a machine", "started_at": NOW, "finished_at": NOW}
    predicate = Rebuild(**resting_on(found), **made, **facts)
    statement = canonical.parse(predicate.about([subject]).to_bytes(), name="x")
    return VerdictFile(statement=statement, details=found.as_json())


def _segment(number: int, verdict: ReplayVerdict) -> ReplayedSegment:
    return ReplayedSegment(number=number, after=number, until=number + 1, verdict=verdict, reason="so", seconds=1.5)


def replay(*verdicts: ReplayVerdict) -> VerdictFile:
    """The file that an honest auditor's replay of segments writes, which came out so."""
    segments = tuple(_segment(number, verdict) for number, verdict in enumerate(verdicts or ("BITWISE",)))
    asked = Challenge(nonce="00" * 16, head="b" * 64, segments=9, chosen=tuple(range(len(segments))))
    looked = Check(Step.CHAIN, Verdict.PASS, "chain", "whole")
    data = Remade("tokens <- source", "BITWISE", "the same")
    checks = (looked, data.check, *(Remade.of(one).check for one in segments))
    verdict, reason = concluded(checks, segments)
    predicate = Replay(
        verdict=verdict, reason=reason, source="c" * 40, tokens="d" * 64, challenge=asked, replayed=segments,
        environment="current", profile="portable", machine="a machine", started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    statement = canonical.parse(predicate.about([SUBJECT]).to_bytes(), name="x")
    return VerdictFile(statement=statement, details=Report(SUBJECT.name, checks).as_json())


def evaluation(verdict: str, found: str | None = None) -> VerdictFile:
    """The file that an honest auditor's evaluation writes.  found: the digest of what came out, where that is told."""
    same = {"path": "provenance/evaluation.json", "verdict": verdict, "signed": "a" * 64, "tolerance": 0.0,
            "found": found or ("a" if verdict == "BITWISE" else "b") * 64, "reason": "", "figures": []}  # fmt: skip
    facts = {"records": [same], "stages": ["evaluate"], "departs": [], "tolerance": 0.0, "cannot": [],
             "environment": HERE.as_json(), "profiled": True, "walled": True}  # fmt: skip
    rests = EvaluationDetails.from_json(facts, name="details")
    predicate = Reevaluation(
        **evaluation_verdict.resting_on(rests), source="c" * 40, environment="current", walled=True,
        profile="portable", machine="a machine", started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    statement = canonical.parse(predicate.about([SUBJECT]).to_bytes(), name="x")
    return VerdictFile(statement=statement, details=rests.as_json())
