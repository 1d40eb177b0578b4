"""A release as the pipeline would lay it out, made in a moment: its records fit together, its weights learned nothing.

For tests of what happens to releases after training. What training does is tested where it happens.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from registry import canonical, tensors
from registry.digest import sha256_bytes, sha256_file
from registry.files import write_atomic
from registry.manifest import Manifest
from registry.openness import released
from registry.openness.assessment import Assessment
from registry.openness.cards import model_card, reports
from registry.openness.cards.model_card import About
from registry.openness.documents import every
from registry.openness.released import ReleaseFiles
from registry.project import dvc_lock
from registry.records import data_manifest, layout, listing
from registry.records.base_record import Base
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.data_manifest import DataSource, RowsForm, Summary
from registry.records.data_row import Row, Use
from registry.records.environment import Environment, Machine, NumericProfile, Shape, Software
from registry.records.evaluation import Baseline, Baselines, Evaluation, Metrics, Sample, Validation
from registry.records.release_record import Companion, Declared, ReleaseRecord, SourceCode, StatedLicences, Weights
from registry.records.run import Measured, Run, StageRun, Stages, directory_digest, listing_text
from registry.records.tokens import (
    INDEX_ROW,
    SPLITS,
    DataDigests,
    Split,
    Splits,
    TokenFile,
    TokenizerDigest,
    Tokens,
)
from registry.release.draft import git_attributes

REPO = "glasshouse/synthetic"
COMMIT = "c" * 40
ABOUT = About(REPO, "A synthetic model", "Apache-2.0", ("en",), "build/model", "To be tested.", "It knows nothing.",
              {"license": "apache-2.0"}, kind="language model", library_name="transformers",
              pipeline_tag="text-generation")  # fmt: skip
DOCUMENTS = 40
TOKENS = 8
"""Tokens of each document."""
MODEL = "build/model"
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "corpus": (("texts",), (layout.DATA_SUMMARY, layout.DATA_ROWS)),
    "train": (
        (layout.DATA_SUMMARY,),
        (MODEL, layout.TOKENS, layout.CHECKPOINTS, layout.ENVIRONMENT, "provenance/metrics.jsonl"),
    ),
    "evaluate@all": ((MODEL, layout.TOKENS), (layout.EVALUATION,)),
}
"""Stage -> what it reads and writes: build/model, else a record that is built where it stands in the release."""
BASE = "build/base"
"""What a stage of its own writes, and `train` reads, where the release has a record of a base."""
SETTINGS = {"params.yaml": {"seed": 7}}


def write(
    folder: Path,
    *,
    repo: str = REPO,
    version: str = "1.0.0",
    seed: int = 0,
    weights_bytes: int = 4096,
    extra: Mapping[str, bytes] = MappingProxyType({}),
    declared: tuple[Declared, ...] = (),
    chain: Callable[[Path], Chain] | None = None,
    opened: StatedLicences | None = None,
    form: RowsForm = "jsonl",
    beside: tuple[Companion, ...] = (),
) -> ReleaseRecord:
    """Write a release of `repo`, unsigned, into `folder`; `seed` decides the weights, which take `weights_bytes`.

    extra: more files of the model's directory, which the stage that trains wrote; safetensors among them are weights;
    or a record of a base.
    declared: what the record says of unusual files.
    opened: the licences that its record states. It has code in its commit, data that anybody can get, a card of the
    data, a technical report, and the record of how open it is.
    form: in which form the rows of its data manifest stand; in a table, they say what edition 2 can say.
    chain: makes the chain of checkpoints of the release in a folder, whose weights and tokens are there already.
    beside: what its record says is published beside it.
    """
    for path, data in {
        layout.WEIGHTS: safetensors({"layer": seeded(f"weights {seed}", weights_bytes)}),
        layout.LICENSE: b"Apache License 2.0\n",
        "config.json": canonical.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 32}),
        "generation_config.json": canonical.dumps({"architectures": ["LlamaForCausalLM"], "hidden_sizf": 32}),
        "tokenizer.json": canonical.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}}),
        layout.CURVE: b"\x89PNG\r\n\x1a\n" + seeded("curve", 2000),
        "provenance/metrics.jsonl": b"".join(b'{"loss":%d,"step":%d}\n' % (9 - step, step) for step in range(9)),
        layout.PARAMS: b"seed: 7\ntrain:\n  steps: 8\n",
        layout.REQUIREMENTS: b"numpy==2.4.6 --hash=sha256:" + b"0" * 64 + b"\n",
        layout.ENVIRONMENT: environment().to_bytes(),
        **extra,
    }.items():
        write_atomic(folder / path, data)
    if layout.GIT_ATTRIBUTES not in extra:
        write_atomic(folder / layout.GIT_ATTRIBUTES, git_attributes(folder))
    plan = _in_form(_plan(folder, opened is not None), form)
    write_atomic(folder / layout.PIPELINE, canonical.dumps({"stages": dict(_declared(name, plan) for name in plan)}))
    _records(folder, plan, chain or _chain, "installed" if opened else "files", form)
    return _record(folder, repo, version, declared, opened, beside)


def list_apart(folder: Path, *, parts: bool = True) -> None:
    """Let the stages' records in `folder` name each directory by its digest alone, as those of too many files are.

    parts: the release lists them.
    """

    def alone(item: Measured) -> Measured:
        if not item.files:
            return item
        for path, data in listing.parts(item.sha256, listing_text(item.files).encode()) if parts else ():
            write_atomic(folder / path, data)
        return item.model_copy(update={"files": {}})

    known = Stages.read(folder / layout.STAGES)
    runs = (
        one.run.model_copy(update={"deps": tuple(map(alone, one.run.deps)), "outs": tuple(map(alone, one.run.outs))})
        for one in known.stages
    )
    stages = tuple(one.model_copy(update={"run": run}) for one, run in zip(known.stages, runs, strict=True))
    write_atomic(folder / layout.STAGES, known.model_copy(update={"stages": stages}).to_bytes())


def safetensors(named: dict[str, bytes]) -> bytes:
    """A safetensors file of one-dimensional U8 tensors."""
    header, end = {}, 0
    for name, data in named.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [end, end + len(data)]}
        end += len(data)
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + b"".join(named.values())


def seeded(name: str, size: int) -> bytes:
    """`size` bytes that look random, always the same for `name`."""
    blocks = (bytes.fromhex(sha256_bytes(f"{name} {number}".encode())) for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


Plan = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


def rows() -> Iterable[Row]:
    """What the synthetic model was trained on."""
    for number in range(DOCUMENTS):
        data = f"text {number}".encode()
        use: Use = "validation" if number % 4 == 0 else "train"
        yield Row(
            source="files:texts", path=f"texts/{number:03d}.txt", sha256=sha256_bytes(data), size=len(data),
            license="CC0-1.0" if number % 2 else "MIT", use=use, reason=None,
        )  # fmt: skip


def _records(
    folder: Path, plan: Plan, chain: Callable[[Path], Chain], kind: Literal["installed", "files"], form: RowsForm
) -> None:
    """The chain of records from the rows to the evaluation, then the card and the lock over them."""
    told = rows() if form == "jsonl" else map(_told_whole, rows())
    source = DataSource(id="files:texts", kind=kind, license=None, status=None if form == "jsonl" else "rebuildable")
    summary = data_manifest.write(folder / layout.PROVENANCE, told, [source], form)
    write_atomic(folder / layout.TOKENS, _tokens(folder, summary).to_bytes())
    write_atomic(folder / layout.CHECKPOINTS, chain(folder).to_bytes())
    evaluation = Evaluation(
        weights=sha256_file(folder / layout.WEIGHTS),
        tokens=sha256_file(folder / layout.TOKENS),
        validation=Validation(documents=10, size=70, tokens=80),
        metrics=Metrics(bits_per_byte=2.5, perplexity=11.0, next_token_accuracy=0.25),
        baselines=Baselines(uniform=Baseline(bits_per_byte=8.0), unigram=Baseline(bits_per_byte=5.0)),
        sample=Sample(prompt="glass", text=" house"),
    )
    write_atomic(folder / layout.EVALUATION, evaluation.to_bytes())
    write_atomic(folder / layout.LOCK, canonical.dumps(_lock(folder, plan)))
    write_atomic(folder / layout.STAGES, _stages(folder, plan).to_bytes())


def _told_whole(row: Row) -> Row:
    more = {"license_basis": "declared", "language": "en", "origin": f"https://example.org/{row.path}"}
    return row.model_copy(update=more)


def _record(
    folder: Path,
    repo: str,
    version: str,
    declared: tuple[Declared, ...],
    opened: StatedLicences | None,
    beside: tuple[Companion, ...],
) -> ReleaseRecord:
    weights = tuple(
        Weights(path=path, sha256=sha256_file(folder / path), tensors=tensors.tensors_digest(folder / path))
        for path in sorted(found.relative_to(folder).as_posix() for found in folder.rglob("*.safetensors"))
    )
    record = ReleaseRecord(
        repo=repo,
        version=version,
        source=SourceCode(commit=COMMIT, committed_at="2026-01-01T00:00:00Z", remote="https://git.example/model"),
        license="Apache-2.0",
        parameters=tensors.parameters(folder / layout.WEIGHTS),
        content=Manifest.of_directory(folder).sha256,
        lock=sha256_file(folder / layout.LOCK),
        weights=weights,
        declared=declared,
        licenses=opened,
        companions=beside,
    )
    write_atomic(folder / layout.RECORD, record.to_bytes())
    every.write(folder)
    write_atomic(folder / layout.CARD, model_card.render(folder, replace(ABOUT, repo=repo), version=version).encode())
    if opened:
        for path, data in reports.written(folder, replace(ABOUT, repo=repo)):
            write_atomic(folder / path, data)
        write_atomic(folder / layout.OPENNESS, assessed(folder).record.to_bytes())
    return record


def assessed(folder: Path) -> Assessment:
    """How open the release in `folder` is."""
    digests = {entry.path: entry.sha256 for entry in Manifest.of_directory(folder).entries}
    return released.assess(ReleaseFiles.at(folder, digests))


def _tokens(folder: Path, summary: Summary) -> Tokens:
    sizes = Splits(train=Split(tokens=240, documents=30, size=210), validation=Split(tokens=80, documents=10, size=70))
    files = (("train-00000.bin", 480), ("train.index", 1200), ("validation-00000.bin", 160), ("validation.index", 400))
    content = {f"{split}.index": _index(split) for split in SPLITS}
    return Tokens(
        data_manifest=DataDigests(root=summary.root, sha256=sha256_file(folder / layout.DATA_SUMMARY)),
        tokenizer=TokenizerDigest(sha256=sha256_file(folder / "tokenizer.json")),
        dtype="uint16",
        vocabulary=2,
        splits=sizes,
        files=tuple(
            TokenFile(path=path, sha256=sha256_bytes(content.get(path, path.encode())), size=size)
            for path, size in files
        ),
    )


def _index(split: str) -> bytes:
    """Each document became TOKENS tokens."""
    used = [row for row in rows() if row.use == split]
    return b"".join(INDEX_ROW.pack(TOKENS * end, bytes.fromhex(row.sha256)) for end, row in enumerate(used, start=1))


def _chain(folder: Path) -> Chain:
    chain = Chain(
        tokens=sha256_file(folder / layout.TOKENS),
        recipe="0" * 64,
        profile=ProfileName(name="portable", digest="1" * 64),
        entries=(),
    )
    for step in range(9):
        made = tensors.tensors_digest(folder / layout.WEIGHTS) if step == 8 else sha256_bytes(b"weights %d" % step)
        optimizer = sha256_bytes(b"optimizer %d" % step)
        chain = chain.extended(
            step=step,
            weights=FileDigests(file=made, tensors=made),
            optimizer=FileDigests(file=optimizer, tensors=optimizer),
            end=step * 8,
            loss=None if step == 0 else 9.0 - step,
        )
    return chain


def _plan(folder: Path, coded: bool) -> Plan:
    """The stages behind the release in `folder`, as STAGES has them; `coded`: each reads its code, too."""
    if coded:
        return {name: ((*deps, code(name)), outs) for name, (deps, outs) in STAGES.items()}
    if not (folder / layout.BASE).is_file():
        return STAGES
    deps, outs = STAGES["train"]
    return {"base": ((), (BASE, layout.BASE)), **STAGES, "train": ((BASE, *deps), outs)}


def _in_form(plan: Plan, form: RowsForm) -> Plan:
    rows = layout.DATA_ROWS if form == "jsonl" else layout.DATA_TABLE
    return {
        name: (deps, tuple(rows if path == layout.DATA_ROWS else path for path in outs))
        for name, (deps, outs) in plan.items()
    }


def code(stage: str) -> str:
    """Where a stage's code is, where it has some."""
    return f"pipelines/{stage.partition('@')[0]}.py"


def command(stage: str) -> str:
    """What a stage runs."""
    return f"python -m registry record -- python -m pipelines.{stage}"


def _declared(stage: str, plan: Plan) -> tuple[str, dict[str, Any]]:
    """A stage of `plan` as dvc.yaml has it: `NAME@KEY` comes of a template."""
    (deps, outs), (name, at, key) = plan[stage], stage.partition("@")
    template = {"cmd": command(name + at + "${item}" * bool(key)), "deps": [*deps], "outs": [*outs], "params": ["seed"]}
    return name, {"foreach": [key], "do": template} if key else template


def _lock(folder: Path, plan: Plan) -> dict[str, Any]:
    def rows(paths: Iterable[str]) -> list[dict[str, Any]]:
        return [{"path": path, "hash": "md5", "md5": _md5(folder, path), "size": 1} for path in paths]

    stages = {
        name: {"cmd": command(name), "deps": rows(deps), "params": SETTINGS, "outs": rows(outs)}
        for name, (deps, outs) in plan.items()
    }
    return {"schema": "2.0", "stages": stages}


def _stages(folder: Path, plan: Plan) -> Stages:
    """The runs behind it: `train` was restored from a cache."""

    def measured(paths: Iterable[str]) -> tuple[Measured, ...]:
        return tuple(_measured(folder, path) for path in paths)

    runs = [
        Run(stage=name, command=command(name), params=SETTINGS, deps=measured(deps), outs=measured(outs))
        for name, (deps, outs) in sorted(plan.items())
    ]
    known = [
        StageRun(
            evidence="restored" if run.stage == "train" else "ran",
            committed=tuple(sorted({"texts", code(run.stage)} & {dep.path for dep in run.deps})),
            run=run,
        )
        for run in runs
    ]
    return Stages(stages=tuple(known))


def _measured(folder: Path, path: str) -> Measured:
    if path == MODEL:
        files = {name: sha256_file(place) for name, place in _model(folder).items()}
        return Measured(path=path, sha256=directory_digest(files), files=files)
    if path == BASE:
        return Measured(path=path, sha256=Base.read(folder / layout.BASE).sha256, files={})
    return Measured(path=path, sha256=sha256_file(folder / path) if (folder / path).is_file() else "3" * 64)


def _md5(folder: Path, path: str) -> str:
    if path == MODEL:
        return dvc_lock.directory_md5(_model(folder))
    return dvc_lock.file_md5(folder / path) if (folder / path).is_file() else "3" * 32


def _model(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and layout.is_model_file(path.relative_to(folder).as_posix())
    }


def environment() -> Environment:
    return Environment(
        machine=Machine(
            cpu="a processor", architecture="x86_64", features=("avx2",), accelerator=None, system="Linux",
            libc="glibc 2.41",
        ),
        software=Software(
            python="3.11.0", packages="2" * 64, torch="2.13.0", torch_config="none", numpy="2.4.6", blas="OpenBLAS",
            transformers="5.23.0", builds={"numpy": "3" * 64, "torch": "4" * 64}, blas_config="OpenBLAS 0.3.31 Haswell",
        ),
        shape=Shape(micro_batches=4, micro_batch_rows=2, context=16),
        profile=NumericProfile(
            name="portable", digest="1" * 64, settings={"threads": 1}, environment={"OMP_NUM_THREADS": "1"}, threads=1,
            capability="AVX2", blas_core="Haswell",
        ),
    )  # fmt: skip
