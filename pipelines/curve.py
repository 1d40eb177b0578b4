"""The loss curve, as pictures and as a table, in the same bytes from the same metrics."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical
from registry.errors import InputError

MAX_LINE = 4096
INK, TRAIN, HELD, GRID = "#1f2933", "#8fb8de", "#c2410c", "#e4e7eb"
STYLE = {
    "svg.hashsalt": "glasshouse",
    "font.size": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One step. loss, validation: mean nats a token; validation is None where it was not measured."""

    step: int
    loss: float
    validation: float | None


def read(metrics: Path) -> list[Point]:
    """The points of a metrics.jsonl. Raises InputError for a line that is none."""
    points = []
    with metrics.open("rb") as stream:
        while line := stream.readline(MAX_LINE):
            match canonical.parse(line, name=metrics.name):
                case {"step": int(step), "loss": float(loss), **rest}:
                    points.append(Point(step, loss, _number(rest.get("validationLoss"))))
                case _:
                    raise InputError(f"{metrics.name} has a line without step and loss", mend="dvc repro -f train")
    return points


def draw(metrics: Path, folder: Path) -> None:
    """Write loss.csv, loss.svg and loss.png into `folder`."""
    points = read(metrics)
    with (folder / "loss.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("step", "loss", "validation"))
        table.writerows((p.step, p.loss, "" if p.validation is None else p.validation) for p in points)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "Agg", **STYLE}):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        _plot(figure.subplots(), points)
        # No date and no version: they would be the only bytes that change.
        figure.savefig(folder / "loss.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(folder / "loss.png", dpi=160, metadata={"Software": None})


def _plot(axes: Any, points: Sequence[Point]) -> None:
    held = [(p.step, p.validation) for p in points if p.validation is not None]
    axes.plot(
        [p.step for p in points], [p.loss for p in points], color=TRAIN, linewidth=1.3, label="training, each step"
    )
    if held:
        steps, losses = zip(*held, strict=True)
        axes.plot(steps, losses, color=HELD, linewidth=2, marker="o", markersize=3.5, label="validation")
        axes.annotate(
            f"{losses[-1]:.3f}", (steps[-1], losses[-1]), textcoords="offset points", xytext=(6, -3), color=HELD
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats per token")
    axes.set_xlim(left=0)
    axes.legend(loc="upper right")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
