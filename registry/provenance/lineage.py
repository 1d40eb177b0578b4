"""Step 5: from the weights back to the data, digest by digest, without a gap.

    weights <- last checkpoint <- tokens <- data manifest <- its rows
                                     └────<- tokenizer
    and the same by the stages' own statements, from the one that made the weights to the one that made the manifest;
    and beside them, named by the signed provenance statement: git commit, params, lock, environment

Each link answers for itself: PASS, FAIL with what does not fit, or UNKNOWN where a record that the link needs is not
there. The files read here had their bytes compared with the signed list before (step 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from registry import tensors
from registry.attest import namespace
from registry.attest.intoto import Provenance
from registry.attest.statement import Statement
from registry.errors import Unavailable
from registry.formats.known import identify
from registry.project import dvc_lock
from registry.provenance import slsa
from registry.provenance.claims import CLAIMS, Digests, need
from registry.provenance.stage_lineage import Gap, Line, Link
from registry.records import data_manifest, layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.release_record import ReleaseRecord
from registry.records.tokens import Tokens
from registry.report import Check, Step, ask

RESTATED = ("data", "checkpoints", "evaluation", "card")
"""Statements that follow from the records, and are made again to compare them."""


def checks(root: Path, statements: Mapping[str, Statement], digests: Digests) -> Iterator[Check]:
    """Walk the links of the release at `root`.

    digests: path -> SHA-256 of every file, as step 2 found it; nothing is hashed twice.
    statements: the verified ones by short name; that of the weights' provenance is among them.
    Raises nothing for what a release can hold.
    """
    line = Line(root, statements, digests)
    links: tuple[Link, ...] = (
        ("weights <- provenance", lambda: _provenance(root, statements["provenance"], digests)),
        ("weights <- checkpoints", lambda: _checkpoints(root)),
        ("checkpoints <- tokens", lambda: _tokens(root, digests)),
        ("tokens <- data manifest", lambda: _data(root, digests)),
        ("data manifest <- its rows", lambda: _rows(root)),
        ("evaluation <- weights", lambda: _evaluation(root, digests)),
        ("every stage <- dvc.lock", lambda: _lock(root, line.placed, digests)),
        *((f"{name} statement <- records", partial(_claim, root, statements, digests, name)) for name in RESTATED),
        *line.links(),
    )
    for name, link in links:
        yield ask(Step.LINEAGE, name, link)


def _provenance(root: Path, statement: Statement, digests: Digests) -> str:
    """The signed provenance names these weights, this commit, and these records."""
    subjects, resolved = statement.digests, slsa.resolved(Provenance.of(statement))
    record = ReleaseRecord.read(need(root, layout.RECORD))
    weights = {path for path in digests if identify(root / path).weights}
    if weights != subjects.keys() or weights != {file.path for file in record.weights}:
        raise Gap(f"the files of weights are {sorted(weights)}, the provenance speaks of {sorted(subjects)}")
    for path in weights:
        _same(f"{path}", subjects[path], _digest(digests, path))
    _same("the git commit", resolved.get("source", "none"), record.source.commit)
    named = {name: path for name, path in slsa.RESOLVED.items() if (root / path).is_file()}
    for name, path in named.items():
        _same(path, resolved.get(name, "none"), _digest(digests, path))
    Environment.read(need(root, layout.ENVIRONMENT))
    if absent := sorted(slsa.RESOLVED.keys() - named.keys()):
        raise Unavailable(f"the release has no {', '.join(absent)}", mend="ask the maintainer for them")
    return f"commit {record.source.commit[:12]}, {', '.join(sorted(named))}"


def _checkpoints(root: Path) -> str:
    """The chain of checkpoints holds, and ends in these weights."""
    chain = Chain.read(need(root, layout.CHECKPOINTS))
    chain.verify()
    record = ReleaseRecord.read(need(root, layout.RECORD))
    found = tensors.tensors_digest(*(need(root, file.path) for file in record.weights))
    _same("the tensors of all weights", chain.entries[-1].weights.tensors, found)
    return f"{len(chain.entries)} checkpoints, the last at step {chain.entries[-1].step}, in an unbroken chain"


def _tokens(root: Path, digests: Digests) -> str:
    """The chain was trained on these tokens, and they were made by this tokenizer."""
    chain = Chain.read(need(root, layout.CHECKPOINTS))
    tokens = Tokens.read(need(root, layout.TOKENS))
    _same(layout.TOKENS, chain.tokens, _digest(digests, layout.TOKENS))
    _same("tokenizer.json", tokens.tokenizer.sha256, _digest(digests, "tokenizer.json"))
    return f"{tokens.splits.train.tokens} tokens to train on, by this tokenizer"


def _data(root: Path, digests: Digests) -> str:
    """The tokens were made from this data manifest."""
    tokens = Tokens.read(need(root, layout.TOKENS))
    summary = data_manifest.read_summary(need(root, layout.DATA_SUMMARY))
    _same(layout.DATA_SUMMARY, tokens.data_manifest.sha256, _digest(digests, layout.DATA_SUMMARY))
    _same("the Merkle root", tokens.data_manifest.root, summary.root)
    return f"Merkle root {summary.root[:16]}…"


def _rows(root: Path) -> str:
    """The rows give the root that was signed."""
    summary = data_manifest.read_summary(need(root, layout.DATA_SUMMARY))
    data_manifest.verify(summary, need(root, layout.DATA_ROWS))
    return f"{summary.rows} rows, counted anew, give the root"


def _evaluation(root: Path, digests: Digests) -> str:
    """The figures are of these weights, on these tokens."""
    evaluation = Evaluation.read(need(root, layout.EVALUATION))
    _same("the weights evaluated", evaluation.weights, _digest(digests, layout.WEIGHTS))
    _same("the tokens evaluated on", evaluation.tokens, _digest(digests, layout.TOKENS))
    return f"{evaluation.metrics.bits_per_byte:.3f} bits per byte, measured on these weights"


def _lock(root: Path, lock: dvc_lock.Lock, digests: Digests) -> str:
    """In the lock each stage read what the one before wrote, and its outputs are the files of this release."""
    for gap in lock.gaps():
        raise Gap(gap)
    outs = lock.outs()
    model = dvc_lock.directory_md5({path: root / path for path in digests if layout.is_model_file(path)})
    if model not in {out.md5 for out in outs.values()}:
        raise Gap(f"no stage of dvc.lock wrote the model's files (as a directory, md5:{model})")
    by_name = {Path(path).name: out for path, out in outs.items() if not out.md5.endswith(".dir")}
    below = f"{layout.PROVENANCE}/"
    records = sorted(path.removeprefix(below) for path in digests if path.startswith(below))
    records = [path for path in records if path in by_name]
    for path in records:
        _same(f"provenance/{path}", by_name[path].md5, dvc_lock.file_md5(root / layout.PROVENANCE / path))
    named = ", ".join(["the model's files", *records])
    return f"{len(lock.stages)} stages without a gap; outputs it names: {named}"


def _claim(root: Path, statements: Mapping[str, Statement], digests: Digests, name: str) -> str:
    """A statement says what the records say, and nothing else."""
    statement = statements.get(name)
    if statement is None:
        raise Unavailable(f"the release has no verified statement called {name}", mend="ask the maintainer for it")
    record = ReleaseRecord.read(need(root, layout.RECORD))
    expected = CLAIMS[name](root, record, digests)
    if statement.subjects != expected.subjects:
        raise Gap(f"it speaks of {', '.join(statement.digests)[:300]}, not as the records do")
    for part in sorted(statement.predicate.keys() | expected.predicate.keys()):
        said, found = statement.predicate.get(part), expected.predicate.get(part)
        if said != found:
            raise Gap(f"{part[:100]}: it says {str(said)[:200]}, the records {str(found)[:200]}")
    if namespace.read(statement.predicate_type) != expected.predicate_type:
        raise Gap(f"it is a {statement.predicate_type[:200]}")
    return f"each of {', '.join(sorted(expected.predicate))} is as the records have it"


def _digest(digests: Digests, path: str) -> str:
    if path not in digests:
        raise Unavailable(f"the release has no {path}", mend="ask the maintainer for it")
    return digests[path]


def _same(what: str, said: str, found: str) -> None:
    if said != found:
        raise Gap(f"{what}: said to be {said}, found {found}")
