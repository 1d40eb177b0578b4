"""What the statements of a release say, each a function of its records: what gets signed, and what must have been.

Whoever signs makes them; whoever verifies makes them again, and compares. A statement that says anything else than the
records do is then seen, whoever signed it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

from registry.attest.intoto import Resource, TestResult
from registry.attest.predicates import ChainProfile, Checkpoints, DataManifest, ModelCard, Openness
from registry.attest.statement import Statement, Subject
from registry.errors import Unavailable
from registry.provenance import slsa
from registry.records import data_manifest, layout
from registry.records.addresses import slug
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Evaluation
from registry.records.openness_record import OpennessRecord
from registry.records.record import validated
from registry.records.release_record import ReleaseRecord
from registry.records.run import StageRun, Stages

REPORT = "report the release to its maintainer: its records say what no statement can"
Digests = Mapping[str, str]
"""SHA-256 of each file of a release by its path."""
Claim = Callable[[Path, ReleaseRecord, Digests], Statement]

UNIFORM = "bitsPerByte < baselines.uniform.bitsPerByte"
UNIGRAM = "bitsPerByte < baselines.unigram.bitsPerByte"
"""The tests of an evaluation, by name: better than guessing, and better than counting tokens."""


def every(root: Path, record: ReleaseRecord, digests: Digests) -> Iterator[tuple[str, Statement]]:
    """(short name, statement) of all that the release at `root` says, but for the release statement itself."""
    for name in expected(digests):
        yield name, made(name, root, record, digests)
    for known in Stages.read(need(root, layout.STAGES)).stages:
        yield f"{layout.STAGE}{slug(known.run.stage)}", of_stage(known, record)


def made(name: str, root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    """The statement with that short name. Raises Malformed where the records say what no statement can."""
    with validated(f"what {name} says", mend=REPORT):
        return CLAIMS[name](root, record, digests)


def of_stage(known: StageRun, record: ReleaseRecord) -> Statement:
    """The statement of one stage. Raises as `made` does."""
    with validated(f"what is said of {known.run.stage}", mend=REPORT):
        return slsa.stage(known, record)


def expected(paths: Container[str]) -> tuple[str, ...]:
    """The short names of the claims that a release with the files `paths` must make: those whose record it has."""
    return tuple(name for name in CLAIMS if name not in RECORDS or RECORDS[name] in paths)


def need(root: Path, path: str) -> Path:
    """Where the file at `path` of the release is. Raises Unavailable where it has none."""
    if not (root / path).is_file():
        raise Unavailable(f"the release has no {path}", mend="ask the maintainer for it")
    return root / path


def _provenance(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    return slsa.provenance(root, record, digests).about(Subject(file.path, file.sha256) for file in record.weights)


def _data(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    summary = data_manifest.read_summary(need(root, layout.DATA_SUMMARY))
    return DataManifest(
        root=summary.root,
        algorithm=summary.algorithm,
        rows=summary.rows,
        bytes=summary.size,
        licenses={spdx: tally.documents for spdx, tally in summary.licenses.items()},
        rows_sha256=summary.rows_sha256,
    ).about(_files(digests, layout.DATA_SUMMARY, f"{layout.PROVENANCE}/{summary.stored_in}"))


def _checkpoints(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    chain = Chain.read(need(root, layout.CHECKPOINTS))
    return Checkpoints(
        head=chain.head,
        entries=len(chain.entries),
        last_step=chain.entries[-1].step if chain.entries else 0,
        tokens=chain.tokens,
        recipe=chain.recipe,
        profile=ChainProfile(name=chain.profile.name, digest=chain.profile.digest),
    ).about(_files(digests, layout.CHECKPOINTS))


def _evaluation(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    evaluation = Evaluation.read(need(root, layout.EVALUATION))
    figures = evaluation.as_json()
    reached, bounds = evaluation.metrics.bits_per_byte, evaluation.baselines
    learned = reached < bounds.uniform.bits_per_byte
    used_context = reached < bounds.unigram.bits_per_byte
    return TestResult(
        result="FAILED" if not learned else "PASSED" if used_context else "WARNED",
        configuration=(
            *(_resource(digests, path) for path in (layout.PARAMS, layout.TOKENS) if path in digests),
            _resource(digests, layout.EVALUATION).model_copy(
                update={"annotations": {part: figures[part] for part in ("metrics", "baselines", "validation")}}
            ),
        ),
        passed_tests=(*([UNIFORM] if learned else []), *([UNIGRAM] if used_context else [])),
        warned_tests=() if used_context else (UNIGRAM,),
        failed_tests=() if learned else (UNIFORM,),
    ).about(Subject(file.path, file.sha256) for file in record.weights)


def _harness(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    """PASSED where each task was run over all its documents, WARNED where one was over a part of them."""
    from registry.records.harness import HarnessEvaluation

    evaluation = HarnessEvaluation.read(need(root, layout.HARNESS))
    told = {"lmEval": evaluation.lm_eval, "tasks": {one.task: one.hash for one in evaluation.tasks}}
    partly = tuple(one.task for one in evaluation.tasks if not one.whole)
    return TestResult(
        result="WARNED" if partly else "PASSED",
        configuration=(
            *(_resource(digests, path) for path in (layout.PARAMS,) if path in digests),
            _resource(digests, layout.HARNESS).model_copy(
                update={"annotations": told | {"figures": evaluation.figures}}
            ),
        ),
        passed_tests=tuple(one.task for one in evaluation.tasks if one.whole),
        warned_tests=partly,
    ).about(Subject(file.path, file.sha256) for file in record.weights)


def _card(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    data, evaluation = root / layout.DATA_SUMMARY, root / layout.EVALUATION
    figures = sorted(path for path in digests if path.startswith(f"{layout.FIGURES}/"))
    sources = [*(path for path in layout.CARD_RECORDS if path in digests), *figures]
    return ModelCard(
        name=record.repo,
        version=record.tag,
        license=record.license,
        data_root=data_manifest.read_summary(data).root if data.is_file() else None,
        parameters=record.parameters,
        metrics=Evaluation.read(evaluation).metrics.as_json() if evaluation.is_file() else None,
        rendered_from={subject.name: subject.sha256 for subject in _files(digests, *sources)},
    ).about(_files(digests, layout.CARD))


def _openness(root: Path, record: ReleaseRecord, digests: Digests) -> Statement:
    shown = OpennessRecord.read(need(root, layout.OPENNESS))
    return Openness(
        reached=shown.reached, components={one.name: one.state for one in shown.components}, osaid=shown.osaid
    ).about(_files(digests, layout.OPENNESS))


def _files(digests: Digests, *paths: str) -> list[Subject]:
    if absent := [path for path in paths if path not in digests]:
        raise Unavailable(f"the release has no {', '.join(absent)}", mend="ask the maintainer for it")
    return [Subject(path, digests[path]) for path in paths]


def _resource(digests: Digests, path: str) -> Resource:
    (subject,) = _files(digests, path)
    return Resource(name=path, digest={"sha256": subject.sha256})


CLAIMS: Mapping[str, Claim] = {
    "provenance": _provenance,
    "data": _data,
    "checkpoints": _checkpoints,
    "evaluation": _evaluation,
    "harness": _harness,
    "card": _card,
    "openness": _openness,
}
"""Short name -> what it says. Stages have theirs beside these."""
NEEDED = ("provenance", "data", "card")
"""Those without which there is no release; of `data`, where it has the record."""
RECORDS: Mapping[str, str] = {
    "data": layout.DATA_SUMMARY, "checkpoints": layout.CHECKPOINTS, "evaluation": layout.EVALUATION,
    "harness": layout.HARNESS,
    "openness": layout.OPENNESS,
}  # fmt: skip
"""Short name -> the record that it speaks of. A release without that record makes no such claim."""
