"""What is run to measure a release again: what it has is laid, what it has not is made, its weights never are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from registry.audit.measures import Plan, plan
from registry.errors import Unavailable
from registry.records import layout
from registry.records.listing import Listings
from registry.records.listing import parts as parts_of
from registry.records.run import Measured, Run, StageRun, Stages, directory_digest, listing_text

W, E, H, M, T, C = (letter * 64 for letter in "123456")
"""Digests of weights, evaluation, harness, metrics, tokens, code."""
RELEASED = {
    "model.safetensors": W, layout.EVALUATION: E, layout.HARNESS: H, f"{layout.FIGURES}/out/metrics.json": M,
}  # fmt: skip


def folder(path: str, **files: str) -> Measured:
    named = {name.replace("_", "."): sha256 for name, sha256 in files.items()}
    return Measured(path=path, sha256=directory_digest(named), files=named)


def file(path: str, sha256: str) -> Measured:
    return Measured(path=path, sha256=sha256)


def stage(name: str, deps: tuple[Measured, ...], outs: tuple[Measured, ...], *committed: str) -> StageRun:
    run = Run(stage=name, command="x", params={}, deps=deps, outs=outs)
    return StageRun(evidence="ran", committed=committed, run=run)


MODEL = folder("build/model", model_safetensors=W)
TOKENS = folder("build/tokens", shard_bin=T)
CODE = file("code.py", C)
ENCODE = stage("encode", (CODE,), (TOKENS,), "code.py")
TRAIN = stage("train", (TOKENS,), (MODEL, file("state.json", C)))
EVALUATE = stage("evaluate", (CODE, MODEL, TOKENS), (file("build/evaluation.json", E),), "code.py")
HARNESS = stage("harness", (MODEL,), (folder("build/harness", harness_json=H),))
METRICS = stage("measure", (MODEL,), (file("out/metrics.json", M),))
DRAFT = stage("draft", (MODEL, file("build/evaluation.json", E)), (folder("out", evaluation_json=E),))


def planned(*stages: StageRun, listed: Sequence[Measured] = ()) -> Plan:
    """listed: directories that the release lists."""
    known = Stages(stages=tuple(sorted(stages, key=lambda one: one.run.stage)))
    parts = dict(part for each in listed for part in parts_of(each.sha256, listing_text(each.files or {}).encode()))
    listings = Listings([*RELEASED, *parts], lambda path, most: parts[path], frozenset(RELEASED.values()))
    return plan(known, RELEASED, frozenset({W}), listings)


def large(measured: Measured) -> Measured:
    """The same directory, as a record has one of too many files."""
    return measured.model_copy(update={"files": {}})


def test_what_measured_is_run_on_the_weights_that_were_released() -> None:
    found = planned(ENCODE, TRAIN, EVALUATE, HARNESS, METRICS, DRAFT)
    assert found.stages == ("evaluate", "harness", "measure") and found.makers == ("encode",)
    assert found.laid == {"build/model/model.safetensors": "model.safetensors"}
    assert found.held == (TOKENS,)
    assert found.compared == {
        layout.EVALUATION: "build/evaluation.json",
        layout.HARNESS: "build/harness/harness.json",
        f"{layout.FIGURES}/out/metrics.json": "out/metrics.json",
    }


def test_a_stage_that_copies_figures_or_reads_no_weights_does_not_measure() -> None:
    with pytest.raises(Unavailable, match="no stage of this release is known to have measured"):
        planned(TRAIN, DRAFT, stage("guess", (CODE,), (file("evaluation.json", E),), "code.py"))


def test_what_only_the_training_makes_is_not_made() -> None:
    reader = stage("evaluate", (MODEL, file("state.json", C)), (file("evaluation.json", E),))
    with pytest.raises(Unavailable, match=r"reads state\.json, .* only train writes it, which wrote the weights"):
        planned(ENCODE, TRAIN, reader)


def test_what_nobody_makes_is_said() -> None:
    with pytest.raises(Unavailable, match="build/tokens, which the release does not have: no stage wrote it"):
        planned(TRAIN, EVALUATE)


def test_stages_that_read_one_another_come_to_an_end() -> None:
    one = stage("one", (file("b", T),), (file("a", C),))
    other = stage("two", (file("a", C),), (file("b", T),))
    with pytest.raises(Unavailable, match="reads what it writes"):
        planned(one, other, stage("evaluate", (MODEL, file("a", C)), (file("evaluation.json", E),)))


MODELS = folder("build/model", config_json=H, model_safetensors=W)
"""A directory of which the release has every file."""
OUT = folder("build/out", evaluation_json=E, other_bin=T)
LARGE = (
    stage("train", (large(TOKENS),), (large(MODELS),)),
    stage("encode", (CODE,), (large(TOKENS),), "code.py"),
    stage("evaluate", (CODE, large(MODELS), large(TOKENS)), (large(OUT),), "code.py"),
)


def test_directories_too_large_for_their_records_are_read_from_the_listings() -> None:
    found = planned(*LARGE, listed=(TOKENS, MODELS, OUT))
    assert found.stages == ("evaluate",) and found.makers == ("encode",) and found.held == (large(TOKENS),)
    assert found.laid == {
        "build/model/config.json": layout.HARNESS,
        "build/model/model.safetensors": "model.safetensors",
    }
    assert found.compared == {layout.EVALUATION: "build/out/evaluation.json"}


@pytest.mark.parametrize("hidden", [TOKENS, MODELS])
def test_what_depends_on_a_directory_that_nobody_lists_is_not_measured(hidden: Measured) -> None:
    """Whether it holds the weights, or the figures to copy, nobody knows."""
    with pytest.raises(Unavailable, match=f"the files of {hidden.path} are too many"):
        planned(*LARGE, listed=[each for each in (TOKENS, MODELS, OUT) if each != hidden])


def test_a_large_directory_that_holds_the_weights_is_not_made() -> None:
    state = folder("build/state", model_safetensors=W, other_bin=T)
    reader = stage("evaluate", (MODEL, large(state)), (file("evaluation.json", E),))
    with pytest.raises(Unavailable, match="only train writes it, which wrote the weights"):
        planned(stage("train", (CODE,), (large(state), MODEL), "code.py"), reader, listed=[state])
