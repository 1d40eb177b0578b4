"""What a chain must show before anything is replayed: each lie is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from registry import canonical
from registry.audit import chain_checks
from registry.records import layout
from registry.records.checkpoint_chain import Chain, FileDigests, Positions, ProfileName
from registry.records.project import Project
from registry.report import Check, Step, Verdict, ask

STEPS, ROWS = (0, 1, 2, 4), 8


def chain() -> Chain:
    made = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step in STEPS:
        made = made.extended(
            step=step,
            weights=FileDigests(file=f"{step:064x}", tensors=f"{step + 100:064x}"),
            optimizer=FileDigests(file=f"{step + 200:064x}", tensors=f"{step + 300:064x}"),
            end=step * ROWS,
            loss=step / 2 if step else None,
        )
    return made


def laid_out(root: Path, found: Chain) -> tuple[Path, Chain]:
    (root / "provenance").mkdir()
    train = {"steps": STEPS[-1], "micro_batches": 4, "micro_batch_rows": 2}
    (root / "provenance/params.yaml").write_text(json.dumps({"train": train}))
    lines = [{"step": step, "loss": step / 2, "gradientNorm": 1.0} for step in range(1, STEPS[-1] + 1)]
    (root / "provenance/metrics.jsonl").write_bytes(b"".join(canonical.dumps(line) + b"\n" for line in lines))
    return root, found


def told(root: Path) -> Project:
    return Project.read(root / layout.PARAMS)


def checks(release: tuple[Path, Chain]) -> list[Check]:
    return [ask(Step.CHAIN, *question) for question in chain_checks.questions(*release, told(release[0]))]


def failures(release: tuple[Path, Chain]) -> dict[str, str]:
    return {check.subject: check.reason for check in checks(release) if check.verdict is Verdict.FAIL}


def test_an_honest_chain_passes(tmp_path: Path) -> None:
    assert [check.verdict for check in checks(laid_out(tmp_path, chain()))] == [Verdict.PASS] * 3


def test_rows_that_do_not_fit_the_steps_are_named(tmp_path: Path) -> None:
    found = chain()
    entry = found.entries[1].model_copy(update={"positions": Positions(start=0, end=9)})
    release = laid_out(tmp_path, found.model_copy(update={"entries": (found.entries[0], entry, *found.entries[2:])}))
    assert "step 1 ends at row 9" in failures(release)["positions"] and "links" in failures(release)


def test_a_chain_that_ends_early_is_seen(tmp_path: Path) -> None:
    assert "ends at step 2, training at step 4" in failures(laid_out(tmp_path, chain().up_to(3)))["positions"]


def test_a_swapped_pair_breaks_the_links(tmp_path: Path) -> None:
    found = chain()
    first, second, third, last = found.entries
    release = laid_out(tmp_path, found.model_copy(update={"entries": (first, third, second, last)}))
    assert "links" in failures(release)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "3 lines for 4 steps"),
        (lambda lines: [*lines, lines[-1]], "line 5 is not step 5"),
        (lambda lines: [lines[0].replace(b"0.5", b"0.6"), *lines[1:]], "loss 0.5 at step 1"),
        (lambda lines: [lines[0].replace(b'Norm":1,', b'Norm":-1,'), *lines[1:]], "line 1"),
        (lambda lines: [b"[]\n", *lines[1:]], "not an object"),
        (lambda lines: [b'{"loss":NaN}\n', *lines[1:]], "NaN"),
    ],
)
def test_metrics_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    release = laid_out(tmp_path, chain())
    path = tmp_path / "provenance/metrics.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert words in failures(release)["metrics"]


def test_missing_metrics_are_unknown(tmp_path: Path) -> None:
    release = laid_out(tmp_path, chain())
    (tmp_path / "provenance/metrics.jsonl").unlink()
    assert {check.subject: check.verdict for check in checks(release)}["metrics"] is Verdict.UNKNOWN


def with_optimizer(root: Path, **train: float) -> Path:
    """The records of `chain`, whose gradients all have length 1, with what params.yaml says of the optimizer."""
    laid_out(root, chain())
    path = root / "provenance/params.yaml"
    path.write_text(json.dumps({"train": json.loads(path.read_text())["train"] | train}))
    return root


def moments(root: Path) -> Mapping[int, float]:
    return chain_checks.second_moments(root, chain(), told(root))


@pytest.mark.parametrize(
    "train", [{}, {"clip_norm": 1.0}, {"clip_norm": 1.0, "beta2": 1.5}, {"clip_norm": -1, "beta2": 0.9}]
)
def test_where_the_records_do_not_tell_moments_are_not_judged(tmp_path: Path, train: dict[str, float]) -> None:
    assert moments(with_optimizer(tmp_path, **train)) == {}


@pytest.mark.parametrize("lines", [b"", b"[]\n", b'{"gradientNorm":"x"}\n', b"\xff\n"])
def test_hostile_metrics_tell_nothing_of_moments(tmp_path: Path, lines: bytes) -> None:
    root = with_optimizer(tmp_path, clip_norm=1.0, beta2=0.9)
    (root / "provenance/metrics.jsonl").write_bytes(lines)
    assert moments(root).keys() <= {0}
