"""Step 5: from the weights back to the data, digest by digest, without a gap.

    weights <- last checkpoint <- tokens <- data manifest <- its rows
                                     └────<- tokenizer
    weights <- base, where the training began with an open model
    weights <- their index, where they are several files
    and the same by the stages' own statements, from the one that made the weights to the one that made the manifest;
    and beside them, named by the signed provenance statement: git commit, params, lock, environment

Each link answers for itself: PASS, FAIL with what does not fit, or UNKNOWN where a record that the link needs is not
there. A record that another one names must be there; one that nothing speaks of is `not stated`, and nothing is claimed
of it. The files read here had their bytes compared with the signed list before (step 2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

from registry import canonical, tensors
from registry.attest import namespace
from registry.attest.intoto import Provenance
from registry.attest.statement import Statement
from registry.errors import Unavailable
from registry.parallel import beside
from registry.project import dvc_lock
from registry.provenance import claims, slsa, weights_index
from registry.provenance.claims import Digests, expected, need
from registry.provenance.stage_lineage import Gap, Line, Link
from registry.records import data_manifest, layout, token_counts
from registry.records.base_record import Base
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.kinds import ADAPTER, MAX_SETTINGS, TEKKEN, TOKENIZERS
from registry.records.release_record import ReleaseRecord, SourceCode
from registry.records.run import files_digest
from registry.records.tokens import Tokens
from registry.report import Check, Step, Verdict, ask
from registry.suffixes import SAFETENSORS_INDEX

PACKAGES = frozenset(f"{layout.PROVENANCE}/{name}" for name in layout.PACKAGE_LOCKS)
"""Where a lock of packages stands, by whichever tool."""
UNSTATED = "not stated"
"""The subject of the check that tells what a release does not speak of."""
NOT_STATED = {
    layout.DATA_SUMMARY: "the documents it was trained on",
    layout.TOKENS: "their tokens",
    layout.CHECKPOINTS: "its checkpoints",
    layout.EVALUATION: "an evaluation on them",
    layout.ENVIRONMENT: "the machine",
}
"""Each record that a release can do without -> what nobody knows then."""
PAIR = ("pipeline", "lock")
"""What a release has of each folder that stages stand in: its dvc.yaml, and its dvc.lock."""
FAST = TOKENIZERS[0]
"""The tokenizer that loaders take before any other."""
RESTATED = ("data", "checkpoints", "evaluation", "harness", "card", "openness")
"""Statements that follow from the records, and are made again to compare them."""


def checks(root: Path, statements: Mapping[str, Statement], digests: Digests) -> Iterator[Check]:
    """Walk the links of the release at `root`.

    digests: path -> SHA-256 of every file, as step 2 found it; nothing is hashed twice.
    statements: the verified ones by short name; that of the weights' provenance is among them.
    Raises nothing for what a release can hold.
    """
    files = {path: root / path for path in digests if layout.is_model_file(path)}
    with beside(lambda told: dvc_lock.directory_md5(files, told)) as model:  # the slowest of all hashes
        for name, link in _links(Line(root, statements, digests), root, statements, digests, model):
            yield ask(Step.LINEAGE, name, link)
    if absent := unstated(digests):
        yield Check(Step.LINEAGE, Verdict.PASS, UNSTATED, f"{', '.join(absent)}: nothing is claimed of them")


def _links(
    line: Line, root: Path, statements: Mapping[str, Statement], digests: Digests, model: Callable[[], str]
) -> Iterator[Link]:
    """Each link.  model: gives the key that DVC has for all files of the model, as one directory."""
    of_records: tuple[tuple[str, Link], ...] = (
        (layout.CHECKPOINTS, ("weights <- checkpoints", lambda: _checkpoints(root))),
        (layout.CHECKPOINTS, ("checkpoints <- tokens", lambda: _tokens(root, digests))),
        (layout.TOKENS, ("tokens <- data manifest", lambda: _data(root, digests))),
        (layout.DATA_SUMMARY, ("data manifest <- its rows", lambda: _rows(root))),
        (layout.TOKEN_COUNTS, ("tokens <- their counts", lambda: _token_counts(root))),
        (layout.EVALUATION, ("evaluation <- weights", lambda: _evaluation(root, line, digests))),
        (layout.HARNESS, ("harness <- weights", lambda: _harness(root, line, digests))),
        (layout.BASE, ("weights <- base", lambda: _base(root, line))),
    )
    claimed = [name for name in RESTATED if name in expected(digests) or name in statements]
    yield "weights <- provenance", lambda: _provenance(root, statements["provenance"], line, digests)
    indexes = sorted(path for path in digests if path.endswith(SAFETENSORS_INDEX))
    yield from ((f"weights <- {path}", partial(weights_index.check, root, path, digests)) for path in indexes)
    yield from (link for path, link in of_records if path in digests)
    yield "every stage <- dvc.lock", lambda: _lock(root, line, digests, model)
    yield from ((f"{name} statement <- records", partial(_claim, root, statements, digests, name)) for name in claimed)
    yield from line.links()


def unstated(paths: Collection[str]) -> tuple[str, ...]:
    """What a release of these files has no record of, each in words."""
    adapters = any(path.rpartition("/")[2] == ADAPTER for path in paths)
    bases = ("the base that its adapter is for",) if adapters and layout.BASE not in paths else ()
    return (*(words for path, words in NOT_STATED.items() if path not in paths), *bases)


def _provenance(root: Path, statement: Statement, line: Line, digests: Digests) -> str:
    """The signed provenance names these weights, this commit, and these records."""
    subjects, resolved = statement.digests, slsa.resolved(Provenance.of(statement))
    record = ReleaseRecord.read(need(root, layout.RECORD))
    weights = line.weights
    if weights != subjects.keys() or weights != {file.path for file in record.weights}:
        raise Gap(f"the files of weights are {sorted(weights)}, the provenance speaks of {sorted(subjects)}")
    for path in weights:
        _same(f"{path}", subjects[path], _digest(digests, path))
    _same("the git commit", resolved.get("source", "none"), record.source.commit)
    if (
        layout.BASE in digests
        and slsa.base(root) not in Provenance.of(statement).build_definition.resolved_dependencies
    ):
        raise Gap(f"the provenance names another base than {layout.BASE} does, or none")
    named = slsa.named(digests)
    for name, path in named.items():
        _same(path, resolved.get(name, "none"), _digest(digests, path))
    if "environment" in named:
        Environment.read(root / layout.ENVIRONMENT)
    told = {what: {name.partition(":")[2] for name in named if name.partition(":")[0] == what} for what in PAIR}
    if absent := [what for what in PAIR if not told[what] or told[what] != set().union(*told.values())]:
        raise Unavailable(f"the release has no {', '.join(absent)}", mend="ask the maintainer for them")
    if not any(name == "environment" or path in PACKAGES for name, path in named.items()):
        raise Unavailable(
            f"nobody recorded with which packages it was made: the release has no {layout.ENVIRONMENT}, and no lock of "
            f"packages ({', '.join(layout.PACKAGE_LOCKS[:4])} ...)",
            mend="ask the maintainer to keep a lock of packages in the project",
        )
    return f"commit {record.source.commit[:12]}{_whence(record.source)}, {', '.join(sorted(named))}"


def _whence(source: SourceCode) -> str:
    """What keeps others from fetching the commit, where the release says so."""
    if source.remote is None:
        return " (no public place to fetch it from is named)"
    return "" if source.pushed else " (on no branch of its remote when the release was made)"


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
    there = [name for name in TOKENIZERS if name in digests]
    if there and (there[0] == FAST or all(digests[name] != tokens.tokenizer.sha256 for name in there)):
        _same(there[0], tokens.tokenizer.sha256, digests[there[0]])  # loaders take it, whatever else lies there
    elif not any(digests[path] == tokens.tokenizer.sha256 for path in digests if Path(path).name in TOKENIZERS):
        raise Unavailable("the release does not have the tokenizer that made them", mend="ask the maintainer for it")
    if digests.get(TEKKEN, tokens.tokenizer.sha256) != tokens.tokenizer.sha256:
        raise Unavailable(
            f"some loaders take {TEKKEN}, and nobody recorded that it is the tokenizer that made them",
            mend="ask the maintainer whether the two are one",
        )
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
    data_manifest.verify(summary, need(root, f"{layout.PROVENANCE}/{summary.stored_in}"))
    return f"{summary.rows} rows, counted anew, give the root"


def _token_counts(root: Path) -> str:
    """With the data manifest, the counts lead to the indexes that the tokens have."""
    summary = data_manifest.read_summary(need(root, layout.DATA_SUMMARY))
    used = data_manifest.iter_used(need(root, f"{layout.PROVENANCE}/{summary.stored_in}"))
    with need(root, layout.TOKEN_COUNTS).open("rb") as stream:
        count = token_counts.verify(used, Tokens.read(need(root, layout.TOKENS)), stream)
    return f"{count} documents, and how many tokens each became"


def _evaluation(root: Path, line: Line, digests: Digests) -> str:
    """The figures are of these weights, on these tokens."""
    evaluation = Evaluation.read(need(root, layout.EVALUATION))
    _same("the weights evaluated", evaluation.weights, _weights(line, digests))
    _same("the tokens evaluated on", evaluation.tokens, _digest(digests, layout.TOKENS))
    return f"{evaluation.metrics.bits_per_byte:.3f} bits per byte, measured on these weights"


def _harness(root: Path, line: Line, digests: Digests) -> str:
    """The figures of the harness's tasks are of these weights."""
    from registry.records.harness import HarnessEvaluation

    evaluation = HarnessEvaluation.read(need(root, layout.HARNESS))
    _same("the weights evaluated", evaluation.weights, _weights(line, digests))
    partly = [one.task for one in evaluation.tasks if not one.whole]
    words = f", {len(partly)} of them over a part of their documents" if partly else ""
    return f"{len(evaluation.tasks)} tasks of lm_eval {evaluation.lm_eval} on these weights{words}"


def _weights(line: Line, digests: Digests) -> str:
    """The digest by which a record names what it is of: of the file of weights, or of the directory of several."""
    weights = {path: _digest(digests, path) for path in line.weights}
    return files_digest(weights) if weights else "none"


def _base(root: Path, line: Line) -> str:
    """The weights came, by the stages' statements, from the files of the base that the record names."""
    base = Base.read(need(root, layout.BASE))
    stage = line.came_from(base.sha256)
    if (named := _named_base(root)) is not None and named != (base.repo, base.commit):
        raise Unavailable(
            f"{ADAPTER} has loaders take the base {'@'.join(named)[:200]}: that is not {base.repo}@{base.commit}",
            mend="ask the maintainer which of the two the adapter is for",
        )
    vouched = base.verification.established if base.verification else "not verifiable: nobody named who may sign it"
    return f"{base.uri}, {base.files} files, written by the stage {stage} (its maker was told: {vouched})"


def _named_base(root: Path) -> tuple[str, str] | None:
    """(repository, revision) of the base that the adapter of a release names; None where it is not an adapter."""
    found = canonical.read(root / ADAPTER, max_bytes=MAX_SETTINGS) if (root / ADAPTER).is_file() else None
    if not isinstance(found, dict):
        return None
    name, revision = found.get("base_model_name_or_path"), found.get("revision")
    return (str(name), str(revision)) if name else None


def _lock(root: Path, line: Line, digests: Digests, model: Callable[[], str]) -> str:
    """In the lock each stage read what the one before wrote, and its outputs are the files of this release."""
    lock = line.placed
    for gap in lock.gaps():
        raise Gap(gap)
    outs = lock.outs()
    made = {out.md5 for out in outs.values()}
    if (whole := model()) not in made:
        _files_of_model(root, made, whole, line, digests)
    by_name: dict[str, set[str]] = {}
    for path, out in outs.items():
        if not out.md5.endswith(".dir"):
            by_name.setdefault(Path(path).name, set()).add(out.md5)
            by_name |= {f"{Path(folder).name}/{path}": {out.md5} for folder in (layout.FIGURES, layout.PLOTS)}
    below = f"{layout.PROVENANCE}/"
    copied = (
        path for path in digests if path not in layout.DOCUMENTS
    )  # documents are rendered, whatever a stage wrote
    records = sorted(path.removeprefix(below) for path in copied if path.startswith(below))
    records = [path for path in records if path in by_name]
    for path in records:
        found = dvc_lock.file_md5(root / layout.PROVENANCE / path)
        if found not in by_name[path]:
            _same(f"provenance/{path}", min(by_name[path]), found)
    named = ", ".join(["the model's files", *records])
    return f"{len(lock.stages)} stage{'s' if len(lock.stages) != 1 else ''} without a gap; outputs it names: {named}"


def _files_of_model(root: Path, made: Collection[str], whole: str, line: Line, digests: Digests) -> None:
    """Each file of the model was written by a stage for itself, for no directory of the lock is all of them."""
    files = {path: root / path for path in digests if layout.is_model_file(path)}
    stated = {sha256 for out in line.stated.values() for sha256 in line.listings.known_digests(out)}
    rest = [path for path in sorted(files) if digests[path] not in stated]
    orphans = [path for path in rest if dvc_lock.file_md5(files[path]) not in made]
    if orphans and line.locked.keys() - line.runs.keys():
        raise Unavailable(f"no statement to go by on who wrote {', '.join(orphans[:3])}", mend="ask the maintainer")
    if orphans:
        line.check_listed(orphans)
        more = f" and {len(orphans) - 3} more" if len(orphans) > 3 else ""
        raise Gap(f"no stage of dvc.lock wrote the model's files {', '.join(orphans[:3])}{more} (together md5:{whole})")


def _claim(root: Path, statements: Mapping[str, Statement], digests: Digests, name: str) -> str:
    """A statement says what the records say, and nothing else."""
    statement = statements.get(name)
    if statement is None:
        raise Unavailable(f"the release has no verified statement called {name}", mend="ask the maintainer for it")
    record = ReleaseRecord.read(need(root, layout.RECORD))
    claim = claims.made(name, root, record, digests)
    if statement.subjects != claim.subjects:
        raise Gap(f"it speaks of {', '.join(statement.digests)[:300]}, not as the records do")
    for part in sorted(statement.predicate.keys() | claim.predicate.keys()):
        said, found = statement.predicate.get(part), claim.predicate.get(part)
        if said != found:
            raise Gap(f"{part[:100]}: it says {str(said)[:200]}, the records {str(found)[:200]}")
    if namespace.read(statement.predicate_type) != claim.predicate_type:
        raise Gap(f"it is a {statement.predicate_type[:200]}")
    return f"each of {', '.join(sorted(claim.predicate))} is as the records have it"


def _digest(digests: Digests, path: str) -> str:
    if path not in digests:
        raise Unavailable(f"the release has no {path}", mend="ask the maintainer for it")
    return digests[path]


def _same(what: str, said: str, found: str) -> None:
    if said != found:
        raise Gap(f"{what}: said to be {said}, found {found}")
