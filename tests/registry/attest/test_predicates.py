"""The predicates: round trips, and a strict reading."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.attest import audits, intoto, namespace, predicates
from registry.attest.audits import Challenge, Reevaluated, Reevaluation, Replay, ReplayedSegment
from registry.attest.intoto import (
    BuildDefinition,
    Builder,
    BuildMetadata,
    Provenance,
    Resource,
    RunDetails,
    SummaryVerifier,
    TestResult,
    VerificationSummary,
)
from registry.attest.predicates import (
    ChainProfile,
    Checkpoints,
    DataManifest,
    ListedAttestation,
    ModelCard,
    Openness,
    Predicate,
    Rebuild,
    Rebuilt,
    Release,
    ReleasedFile,
    SourceCommit,
    Status,
)
from registry.attest.statement import Statement, Subject
from registry.errors import InputError
from registry.provenance import slsa
from tests.registry.attest.test_statement import STATEMENTS, VALUES

SHA = "0" * 64
SUBJECTS = (Subject("README.md", SHA),)
FILES = (ReleasedFile(path="model.safetensors", sha256=SHA, size=1), ReleasedFile(path="README.md", sha256=SHA, size=0))
LISTED = ListedAttestation(name="attestations/card.sigstore.json", predicate_type=ModelCard.TYPE, sha256=SHA)
SOURCE = SourceCommit(repository=None, commit="0" * 40)
RELEASE = Release(
    name="org/model",
    version="v1.0.0",
    source=SOURCE,
    files=FILES,
    attestations=(LISTED,),
    weights=("model.safetensors",),
)
EXAMPLES: list[Predicate] = [
    Provenance(
        build_definition=BuildDefinition(
            build_type=slsa.STAGE_TYPE,
            external_parameters={
                "stage": "tokenizer",
                "command": "glasshouse record -- python -m pipelines.tokenizer",
                "params": {"params.yaml": {"seed": 7}},
            },
            internal_parameters={"evidence": "ran"},
            resolved_dependencies=(
                Resource(
                    name="source", uri="git+https://git.example/model@" + "0" * 40, digest={"gitCommit": "0" * 40}
                ),
                Resource(name="build/corpus/", digest={"sha256": SHA}, annotations={"files": {"data.parquet": SHA}}),
                Resource(name="pipelines/tokenizer.py", digest={"sha256": SHA}),
            ),
        ),
        run_details=RunDetails(
            builder=Builder(id=slsa.BUILDER),
            metadata=BuildMetadata(invocation_id=f"sha256:{SHA}"),
        ),
    ),
    TestResult(
        result="WARNED",
        configuration=(
            Resource(name="provenance/tokens.json", digest={"sha256": SHA}),
            Resource(
                name="provenance/evaluation.json",
                digest={"sha256": SHA},
                annotations={"metrics": {"bitsPerByte": 2.5}, "baselines": {"unigram": {"bitsPerByte": 2.25}}},
            ),
        ),
        passed_tests=("bitsPerByte < baselines.uniform.bitsPerByte",),
        warned_tests=("bitsPerByte < baselines.unigram.bitsPerByte",),
    ),
    VerificationSummary(
        verifier=SummaryVerifier(id=f"{namespace.WRITTEN}verifier/v1"),
        time_verified="2026-01-01T00:00:00Z",
        resource_uri="hf://org/model@v1.0.0",
        policy=Resource(uri=f"{namespace.WRITTEN}policy/v1", digest={"sha256": SHA}),
        input_attestations=(Resource(uri="attestations/release.sigstore.json", digest={"sha256": SHA}),),
        verification_result="PASSED",
        verified_levels=("SLSA_BUILD_LEVEL_1",),
        slsa_version="1.1",
    ),
    Checkpoints(
        head=SHA,
        entries=5,
        last_step=480,
        tokens=SHA,
        recipe=SHA,
        profile=ChainProfile(name="portable", digest=SHA),
    ),
    DataManifest(root=SHA, rows=2, bytes=3, licenses={"MIT": 2}, rows_sha256=SHA),
    ModelCard(
        name="org/model",
        version="v1.0.0",
        license="Apache-2.0",
        data_root=SHA,
        parameters=1,
        metrics={"bitsPerByte": 1.5},
        rendered_from={"provenance/evaluation.json": SHA},
    ),
    RELEASE,
    Openness(reached="II"),
    Rebuild(
        verdict="BITWISE",
        reason="every file is the same",
        profile="portable",
        machine="x86_64",
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T01:00:00Z",
        source="0" * 40,
        environment="fresh",
        outputs=(Rebuilt(path="model.safetensors", verdict="BITWISE", sha256=SHA),),
    ),
    Reevaluation(
        verdict="WITHIN",
        reason="every figure within 0.01, relative",
        source="0" * 40,
        stages=("evaluate",),
        records=(Reevaluated(path="provenance/evaluation.json", verdict="WITHIN", sha256=SHA),),
        tolerance=0.01,
        environment="fresh",
        walled=True,
        profile=f"portable sha256:{SHA}",
        machine="a processor, Linux, Python 3.11",
        started_at="2026-01-02T00:00:00Z",
        finished_at="2026-01-02T00:02:00Z",
    ),
    Replay(
        verdict="BITWISE",
        reason="1 segment: BITWISE",
        source="0" * 40,
        tokens=SHA,
        challenge=Challenge(nonce="0f" * 16, logged_at="2026-01-01T00:00:00Z", head=SHA, segments=8, chosen=(5,)),
        replayed=(
            ReplayedSegment(
                number=5,
                after=120,
                until=240,
                verdict="BITWISE",
                reason="the same files",
                weights=SHA,
                optimizer=SHA,
                seconds=61.5,
            ),
        ),
        environment="fresh",
        profile=f"portable sha256:{SHA}",
        machine="a processor, Linux, Python 3.11",
        started_at="2026-01-02T00:00:00Z",
        finished_at="2026-01-02T00:02:00Z",
    ),
    Status(standing="active", reason="in use", stated_at="2026-01-01T00:00:00+00:00"),
]


@pytest.mark.parametrize("predicate", EXAMPLES, ids=lambda predicate: type(predicate).__name__)
def test_a_predicate_survives_being_signed(predicate: Predicate) -> None:
    statement = Statement.parse(predicate.about(SUBJECTS).to_bytes())
    assert type(predicate).of(statement) == predicate
    assert statement.subjects == SUBJECTS


@pytest.mark.parametrize("predicate", EXAMPLES, ids=lambda predicate: type(predicate).__name__)
def test_another_type_and_another_field_are_refused(predicate: Predicate) -> None:
    kind = type(predicate)
    with pytest.raises(InputError, match="is expected"):
        kind.of(Statement(SUBJECTS, f"{kind.TYPE}x", predicate.as_json()))
    with pytest.raises(InputError, match=": extra: Extra"):
        kind.of(Statement(SUBJECTS, kind.TYPE, {**predicate.as_json(), "extra": 1}))
    required = [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]
    for missing in required:
        least = {name: value for name, value in predicate.as_json().items() if name != missing}
        with pytest.raises(InputError, match=f": {missing}: "):
            kind.of(Statement(SUBJECTS, kind.TYPE, least))


def test_every_predicate_has_a_type_of_its_own_and_words_for_every_field() -> None:
    ours, audited, theirs = (
        {kind.TYPE for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Predicate)
         and kind.__module__ == module.__name__ and kind is not Predicate}
        for module in (predicates, audits, intoto)
    )  # fmt: skip
    ours |= audited
    assert all(kind.startswith(predicates.BASE) for kind in ours)
    assert theirs == {Provenance.TYPE, TestResult.TYPE, VerificationSummary.TYPE}
    assert {example.TYPE for example in EXAMPLES} == ours | theirs and len(EXAMPLES) == len(ours | theirs)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": ("elsewhere.safetensors",)},
        {"files": (*FILES, FILES[0])},
        {"attestations": (LISTED, LISTED)},
    ],
)
def test_a_release_agrees_with_itself(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="listed"):
        Release.model_validate({**dict(RELEASE), **change})


REBUILD = next(example for example in EXAMPLES if isinstance(example, Rebuild))


@pytest.mark.parametrize("verdict", ["BITWISE", "TENSORS", "WITHIN"])
def test_a_rebuild_is_as_strong_as_its_weakest_output(verdict: str) -> None:
    missing = Rebuilt(path="config.json", verdict="DIFFERENT")
    with pytest.raises(ValueError, match="an output is DIFFERENT"):
        Rebuild.model_validate({**dict(REBUILD), "verdict": verdict, "outputs": (*(REBUILD.outputs or ()), missing)})
    Rebuild.model_validate({**dict(REBUILD), "verdict": "UNSUPPORTED", "outputs": (missing,)})


def test_a_rebuild_that_was_signed_before_outputs_were_named_still_counts() -> None:
    old = {"verdict": "BITWISE", "reason": "x", "profile": "x", "machine": "x", "startedAt": "2026-01-01T00:00:00Z",
           "finishedAt": "2026-01-01T00:00:00Z"}  # fmt: skip
    read = Rebuild.of(Statement(SUBJECTS, Rebuild.TYPE, old))
    assert read.outputs is None and read.as_json() == old


@given(STATEMENTS, st.sampled_from(EXAMPLES), VALUES)
def test_nothing_but_input_error_comes_of_other_statements(
    statement: Statement, example: Predicate, value: Any
) -> None:
    kind = type(example)
    for predicate in (statement.predicate, *({**example.as_json(), field: value} for field in example.as_json())):
        try:
            kind.of(Statement(SUBJECTS, kind.TYPE, predicate))
        except InputError as problem:
            assert problem.mend
