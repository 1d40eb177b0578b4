"""Statements of stages, and those that follow from records: what fits passes, gaps are named, the rest is UNKNOWN.

Signatures are looked at elsewhere: here every statement is one that its signer stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest.statement import Statement
from registry.errors import InputError
from registry.manifest import Manifest
from registry.project import dvc_lock, locked_stages
from registry.provenance import claims, lineage, slsa
from registry.provenance.stage_lineage import ENDS, LISTED, Line
from registry.records import layout, listing
from registry.records.release_record import ReleaseRecord, SourceCode
from registry.records.run import Measured, Run, StageRun, Stages, TrackedBy, directory_digest, listing_text
from registry.report import Check, Verdict
from tests import synthetic_release
from tests.registry.attest.test_statement import STATEMENTS, VALUES
from tests.registry.records.test_run import KNOWN

SHA = "f" * 64
RECORD = ReleaseRecord(
    repo="a/b", version="1.0.0", license="MIT", parameters=1, content=SHA, lock=SHA, weights=(),
    source=SourceCode(commit="0" * 40, committed_at="", remote=None),
)  # fmt: skip


class Signed:
    """A synthetic release with all that its maintainer says, which a test may change: `tell` says it anew."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = synthetic_release.write(root)
        self.statements: dict[str, Statement] = {}
        self.tell()

    @property
    def digests(self) -> dict[str, str]:
        return {entry.path: entry.sha256 for entry in Manifest.of_directory(self.root).entries}

    def tell(self) -> None:
        self.statements = dict(claims.every(self.root, self.record, self.digests))

    def run(self, name: str, change: Callable[[Run], dict[str, Any]], **known: Any) -> None:
        """Let a stage's run say something else, in the record and in the statement."""
        stages = Stages.read(self.root / layout.STAGES)
        changed = tuple(
            one.model_copy(update={"run": one.run.model_copy(update=change(one.run)), **known})
            if one.run.stage == name
            else one
            for one in stages.stages
        )
        (self.root / layout.STAGES).write_bytes(Stages(stages=changed).to_bytes())
        self.tell()

    def answers(self) -> dict[str, Check]:
        return {check.subject: check for check in lineage.checks(self.root, self.statements, self.digests)}

    def otherwise(self) -> dict[str, tuple[str, str]]:
        """What does not pass, and why."""
        found = self.answers().items()
        return {name: (str(check.verdict), check.reason) for name, check in found if check.verdict != Verdict.PASS}


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path / "release")


def test_what_fits_passes_and_says_what_was_found(signed: Signed) -> None:
    answers = signed.answers()
    assert {check.verdict for check in answers.values()} == {Verdict.PASS}
    assert "train <- corpus" in answers[ENDS].reason
    assert "ran in the maintainer's working copy" in answers["stage corpus"].reason
    assert "not run there: taken from a cache or a remote of DVC" in answers["stage train"].reason
    assert "2 dependencies (2 by other stages, 0 in the commit)" in answers["stage evaluate@all"].reason


@pytest.mark.parametrize("name", ["stage-train", "checkpoints", "evaluation"])
def test_a_statement_that_is_not_there_is_unknown(signed: Signed, name: str) -> None:
    del signed.statements[name]
    found = signed.otherwise()
    assert {verdict for verdict, _ in found.values()} == {"UNKNOWN"}
    expected = (
        {"stage train", "stage evaluate@all", ENDS} if name == "stage-train" else {f"{name} statement <- records"}
    )
    assert found.keys() == expected


def test_a_release_without_statements_of_stages_is_unknown_throughout(signed: Signed) -> None:
    (signed.root / layout.STAGES).unlink()
    signed.statements = {name: said for name, said in signed.statements.items() if not name.startswith(layout.STAGE)}
    found = signed.otherwise()
    assert found.keys() == {"stage corpus", "stage train", "stage evaluate@all", ENDS}
    assert {verdict for verdict, _ in found.values()} == {"UNKNOWN"}


def test_statements_of_two_stages_swapped_are_a_gap(signed: Signed) -> None:
    said = signed.statements
    said["stage-train"], said["stage-evaluate@all"] = said["stage-evaluate@all"], said["stage-train"]
    found = signed.otherwise()
    assert found["stage train"][0] == found["stage evaluate@all"][0] == "FAIL"
    assert "speaks of the stage evaluate@all" in found["stage train"][1]


def test_a_statement_of_another_release_is_a_gap(signed: Signed, tmp_path: Path) -> None:
    other = Signed(tmp_path / "other")
    (other.root / layout.WEIGHTS).write_bytes(synthetic_release.safetensors({"layer": b"other"}))
    (other.root / layout.STAGES).write_bytes(synthetic_release._stages(other.root, synthetic_release.STAGES).to_bytes())
    other.tell()
    signed.statements["stage-train"] = other.statements["stage-train"]
    assert "something else of the stage than provenance/stages.json" in signed.otherwise()["stage train"][1]


def test_another_commit_is_a_gap(signed: Signed) -> None:
    source = signed.record.source.model_copy(update={"commit": "d" * 40})
    other = signed.record.model_copy(update={"source": source})
    signed.statements["stage-train"] = dict(claims.every(signed.root, other, signed.digests))["stage-train"]
    assert signed.otherwise().keys() == {"stage train"} and "commit" in signed.otherwise()["stage train"][1]


def test_more_than_the_record_says_is_a_gap(signed: Signed) -> None:
    said = signed.statements["stage-train"]
    details = {**said.predicate["runDetails"], "metadata": {"invocationId": "another"}}
    changed = Statement(said.subjects, said.predicate_type, {**said.predicate, "runDetails": details})
    signed.statements["stage-train"] = changed
    assert "says more of the stage" in signed.otherwise()["stage train"][1]


def _deps(path: str, sha256: str) -> Callable[[Run], dict[str, Any]]:
    return lambda run: {"deps": tuple(Measured(path=d.path, sha256=sha256) if d.path == path else d for d in run.deps)}


@pytest.mark.parametrize(
    ("stage", "change", "words"),
    [
        ("train", _deps(layout.DATA_SUMMARY, SHA), "train read provenance/data-manifest.json as sha256:ffff"),
        ("evaluate@all", _deps("build/model", SHA), "evaluate@all read build/model as sha256:ffff"),
        ("evaluate@all", lambda run: {"deps": run.deps[:1]}, "provenance/tokens.json: named in dvc.lock"),
        ("train", lambda run: {"outs": run.outs[:-1]}, "metrics.jsonl: named in dvc.lock"),
        ("train", lambda run: {"outs": (*run.outs, Measured(path="more", sha256=SHA))}, "more: named in dvc.lock"),
        ("train", lambda run: {"command": "python -m other"}, "it ran 'python -m other', dvc.lock has"),
        ("train", lambda run: {"params": {"params.yaml": {"seed": 8}}}, "the setting seed is not that of"),
        ("train", lambda run: {"params": {"params.yaml": {"absent": None}}}, "absent, params.yaml: seed: a setting"),
    ],
)  # fmt: skip
def test_a_lie_that_is_signed_is_a_gap_all_the_same(
    signed: Signed, stage: str, change: Callable[[Run], dict[str, Any]], words: str
) -> None:
    signed.run(stage, change)
    verdict, reason = signed.otherwise()[f"stage {stage}"]
    assert verdict == "FAIL" and words in reason


def test_files_of_the_release_that_no_stage_wrote_are_a_gap(signed: Signed) -> None:
    def other_outs(run: Run) -> dict[str, Any]:
        files = {**(run.outs[0].files or {}), "model.safetensors": SHA}
        return {"outs": (Measured(path="build/model", sha256=directory_digest(files), files=files), *run.outs[1:])}

    signed.run("train", other_outs)
    found = signed.otherwise()
    assert "no stage states that it wrote model.safetensors" in found[ENDS][1] and found[ENDS][0] == "FAIL"
    assert found["stage evaluate@all"][0] == "FAIL"


def test_weights_that_do_not_come_of_the_data_are_a_gap(signed: Signed) -> None:
    lock = canonical.read(signed.root / layout.LOCK)
    lock["stages"]["train"]["deps"] = []
    (signed.root / layout.LOCK).write_bytes(canonical.dumps(lock))
    signed.run("train", lambda run: {"deps": ()})
    assert "no dependency leads from there to the data manifest" in signed.otherwise()[ENDS][1]


def test_what_nobody_measured_is_unknown_however_well_it_fits(signed: Signed) -> None:
    signed.run("corpus", lambda run: {}, evidence="unrecorded")
    found = signed.otherwise()
    assert found.keys() == {"stage corpus", ENDS} and found["stage corpus"][0] == found[ENDS][0] == "UNKNOWN"
    assert "DVC's lock alone" in found["stage corpus"][1]


def test_a_part_of_a_directory_is_held_to_the_files_it_lists(signed: Signed) -> None:
    inner = "build/model/config.json"
    lock = canonical.read(signed.root / layout.LOCK)
    lock["stages"]["evaluate@all"]["deps"][0]["path"] = inner
    (signed.root / layout.LOCK).write_bytes(canonical.dumps(lock))
    plan = canonical.read(signed.root / layout.PIPELINE)
    plan["stages"]["evaluate"]["do"]["deps"][0] = inner
    (signed.root / layout.PIPELINE).write_bytes(canonical.dumps(plan))

    def reading(sha256: str) -> Callable[[Run], dict[str, Any]]:
        return lambda run: {"deps": (Measured(path=inner, sha256=sha256), *run.deps[1:])}

    signed.run("evaluate@all", reading(signed.digests["config.json"]))
    assert "stage evaluate@all" not in signed.otherwise()
    signed.run("evaluate@all", reading(SHA))
    assert signed.otherwise()["stage evaluate@all"][0] == "FAIL"

    def too_many(run: Run) -> dict[str, Any]:
        return {"outs": (run.outs[0].model_copy(update={"files": {}}), *run.outs[1:])}

    signed.run("train", too_many)
    verdict, reason = signed.otherwise()["stage evaluate@all"]
    assert verdict == "UNKNOWN" and "too many to be listed" in reason


def test_statements_that_say_something_else_than_the_records_are_a_gap(signed: Signed) -> None:
    for name, part, value in (
        ("data", "rows", 39),
        ("checkpoints", "head", SHA),
        ("evaluation", "result", "FAILED"),
        ("card", "parameters", 1),
    ):
        said = signed.statements[name]
        signed.statements[name] = Statement(said.subjects, said.predicate_type, {**said.predicate, part: value})
        verdict, reason = signed.otherwise()[f"{name} statement <- records"]
        assert verdict == "FAIL" and reason.startswith(f"{part}: it says")


@pytest.mark.parametrize(
    ("reached", "result", "warned", "failed"),
    [
        (2.5, "PASSED", [], []),
        (6.0, "WARNED", [claims.UNIGRAM], []),
        (8.0, "FAILED", [claims.UNIGRAM], [claims.UNIFORM]),
    ],
)
def test_an_evaluation_is_a_test_against_what_knows_no_context(
    signed: Signed, reached: float, result: str, warned: list[str], failed: list[str]
) -> None:
    path = signed.root / layout.EVALUATION
    document = canonical.read(path)
    document["metrics"]["bitsPerByte"] = reached
    path.write_bytes(canonical.dumps(document))
    said = claims.CLAIMS["evaluation"](signed.root, signed.record, signed.digests)
    assert [said.predicate[part] for part in ("result", "warnedTests", "failedTests")] == [result, warned, failed]
    assert said.predicate["configuration"][2]["annotations"]["metrics"]["bitsPerByte"] == reached
    assert said.digests == {layout.WEIGHTS: signed.digests[layout.WEIGHTS]}


@given(KNOWN)
def test_a_stage_s_statement_says_all_that_its_run_does(known: StageRun) -> None:
    statement = Statement.parse(slsa.stage(known, RECORD).to_bytes())
    assert slsa.stage_run(statement) == (known, "0" * 40)


@given(STATEMENTS, KNOWN, VALUES)
def test_nothing_but_input_error_comes_of_other_statements(statement: Statement, known: StageRun, value: Any) -> None:
    good = slsa.stage(known, RECORD)
    definition = good.predicate["buildDefinition"]
    for part in definition:
        changed = {**good.predicate, "buildDefinition": {**definition, part: value}}
        for predicate in (changed, statement.predicate):
            try:
                slsa.stage_run(Statement(good.subjects, good.predicate_type, predicate))
            except InputError as problem:
                assert problem.mend


PATHS = st.lists(st.sampled_from(["a", "b", "a-b", "a.b"]), min_size=1, max_size=4).map("/".join)


@given(st.sets(PATHS), PATHS)
def test_an_output_has_to_do_with_a_path_that_is_it_in_it_or_around_it(outs: set[str], path: str) -> None:
    lock = [dvc_lock.LockedStage(f"stage {out}", "x", (), (dvc_lock.Artifact(out, "0" * 32, 1),)) for out in outs]
    expected = {out for out in outs if f"{out}/".startswith(f"{path}/") or f"{path}/".startswith(f"{out}/")}
    assert locked_stages.makers(lock).touching(path) == {out: f"stage {out}" for out in expected}


def test_what_came_from_nowhere_is_unknown_and_named(signed: Signed) -> None:
    """A dependency that the commit does not have and no stage wrote once passed for one of the two."""
    secret = Measured(path="secret/untold.bin", sha256=SHA)
    assert signed.answers()["stage corpus"].verdict == Verdict.PASS
    signed.run("corpus", lambda run: {"deps": (*run.deps, secret)})
    verdict, reason = signed.otherwise()["stage corpus"]
    assert verdict == "UNKNOWN" and "neither the commit has nor a stage wrote: secret/untold.bin" in reason
    signed.run("corpus", lambda run: {}, committed=("secret/untold.bin", "texts"))
    assert "stage corpus" not in signed.otherwise()


def test_a_file_beside_outputs_in_one_directory_is_named(signed: Signed) -> None:
    stages = {known.run.stage: known.run for known in Stages.read(signed.root / layout.STAGES).stages}
    wrote = {out.path: out.sha256 for run in stages.values() for out in run.outs if out.files is None}
    files = {path.removeprefix("provenance/"): sha for path, sha in wrote.items() if path.startswith("provenance/")}
    files["beside.bin"] = SHA
    whole = Measured(path="provenance", sha256=directory_digest(files), files=files)
    signed.run("train", lambda run: {"deps": (*run.deps, whole)})
    assert "wrote: provenance/beside.bin" in signed.otherwise()["stage train"][1]


@pytest.fixture
def large(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> Signed:
    """A release whose stage `train` read a directory that its record does not list: the release does, in parts."""
    monkeypatch.setattr(listing, "PART", 200)
    stages = [known.run for known in Stages.read(signed.root / layout.STAGES).stages]
    wrote = {out.path: out.sha256 for run in stages for out in run.outs if out.path.startswith("provenance/")}
    files = {path.removeprefix("provenance/"): sha256 for path, sha256 in wrote.items()}
    whole = Measured(path="provenance", sha256=directory_digest(files), files={})
    signed.run("train", lambda run: {"deps": (*run.deps, whole)})
    for path, data in listing.parts(whole.sha256, listing_text(files).encode()):
        (signed.root / path).parent.mkdir(parents=True, exist_ok=True)
        (signed.root / path).write_bytes(data)
    signed.tell()
    return signed


def test_a_directory_too_large_for_its_record_is_held_to_its_listing(large: Signed) -> None:
    parts = [path for path in large.digests if path.startswith(layout.LISTINGS)]
    assert len(parts) > 2 and not large.otherwise()
    assert "files in 1 directories" in large.answers()[LISTED].reason
    for path in parts:
        (large.root / path).unlink()
    large.tell()
    assert large.otherwise().keys() == {"stage train"}
    assert large.otherwise()["stage train"][0] == "UNKNOWN"
    assert "too many to be listed" in large.otherwise()["stage train"][1]


def test_a_file_that_is_the_text_of_a_listing_has_nothing_inside(large: Signed) -> None:
    """A stage that wrote down what others made did not make it."""
    (digest,) = {path.split("/")[2] for path in large.digests if path.startswith(layout.LISTINGS)}
    line = Line(large.root, large.statements, large.digests)
    text, whole = Measured(path="text", sha256=digest), Measured(path="whole", sha256=digest, files={})
    assert line.listings.digests(text) == {digest} and len(line.listings.digests(whole)) > 3


def test_the_tokenizer_that_a_loader_takes_is_the_one_that_made_the_tokens(signed: Signed) -> None:
    good = (signed.root / "tokenizer.json").read_bytes()
    (signed.root / "tokenizer.json").write_bytes(good.replace(b"BPE", b"BPA"))
    for place in ("kept/tokenizer.json", "vocab.json", "notes.txt"):
        (signed.root / place).parent.mkdir(exist_ok=True)
        (signed.root / place).write_bytes(good)
        signed.tell()
        assert signed.otherwise()["checkpoints <- tokens"][0] == "FAIL"
    (signed.root / "tokenizer.json").unlink()
    (signed.root / "vocab.json").unlink()
    (signed.root / "kept/tokenizer.json").unlink()
    assert signed.otherwise()["checkpoints <- tokens"][0] == "UNKNOWN"
    (signed.root / "vocab.json").write_bytes(good)
    assert "checkpoints <- tokens" not in signed.otherwise()


def test_listings_are_not_read_without_end(large: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_READ", 3)
    assert {verdict for verdict, _ in large.otherwise().values()} == {"UNKNOWN"}
    assert "more than 3 files" in large.otherwise()[LISTED][1]


@pytest.mark.parametrize("spoil", ["missing", "changed", "repeated", "exchanged", "overlapping", "of no stage", "odd"])
def test_a_part_of_a_listing_that_is_not_as_recorded_is_a_gap(large: Signed, spoil: str) -> None:
    first, second, *_ = [large.root / path for path in sorted(large.digests) if path.startswith(layout.LISTINGS)]
    one, other = first.read_bytes(), second.read_bytes()
    match spoil:
        case "missing":
            second.unlink()
        case "changed":
            second.write_bytes(bytes(other).replace(other[:8], b"0" * 8, 1))
        case "repeated":
            (first.parent / "9999.txt").write_bytes(one)
        case "exchanged":
            first.write_bytes(other)
            second.write_bytes(one)
        case "overlapping":
            second.write_bytes(one.splitlines(keepends=True)[-1] + other)
        case "of no stage":
            first.parent.rename(first.parent.with_name("0" * 64))
        case "odd":
            (first.parent / "1.txt").write_bytes(one)
    large.tell()
    assert large.otherwise()[LISTED][0] == "FAIL"


def test_a_file_from_nowhere_in_a_directory_too_large_for_its_record_is_named(large: Signed) -> None:
    """Where a .dvc file names a part of it, nobody asked for the rest."""
    row = TrackedBy(path="raw/a", file="raw/a.dvc", md5="0" * 32, url=None, revision=None)
    files = {"a": "1" * 64, "untold.bin": SHA}
    raw = Measured(path="raw", sha256=directory_digest(files), files={})
    large.run("corpus", lambda run: {"deps": (*run.deps, raw)}, tracked=(row,))
    verdict, reason = large.otherwise()["stage corpus"]
    assert verdict == "UNKNOWN" and "the files of raw are too many" in reason
    for path, data in listing.parts(raw.sha256, listing_text(files).encode()):
        (large.root / path).parent.mkdir(parents=True, exist_ok=True)
        (large.root / path).write_bytes(data)
    large.tell()
    verdict, reason = large.otherwise()["stage corpus"]
    assert verdict == "UNKNOWN" and reason.endswith("wrote: raw/untold.bin")


def test_weights_in_a_directory_too_large_for_its_record_are_found_in_its_listing(signed: Signed) -> None:
    synthetic_release.list_apart(signed.root)
    signed.tell()
    assert not signed.otherwise()


def test_weights_in_a_directory_that_nobody_lists_are_unknown(signed: Signed) -> None:
    synthetic_release.list_apart(signed.root, parts=False)
    signed.tell()
    verdict, reason = signed.otherwise()[ENDS]
    assert verdict == "UNKNOWN" and "whether a stage wrote model.safetensors is not known" in reason
    assert "the files of build/model/ are too many" in reason
