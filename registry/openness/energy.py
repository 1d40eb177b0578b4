"""emissions.csv: the energy that building a model took, as codecarbon measured or estimated it.

    codecarbon monitor --offline --country-iso-code DEU --no-api -- dvc repro

codecarbon writes a row for each run, and this sums them. Nothing else is taken from the file: another tool's, or one
that is not whole, is not read. codecarbon itself is not needed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from registry.errors import Malformed
from registry.files import read_text
from registry.records import layout

MAX_BYTES = 1 << 20
MAX_ROWS = 10_000
MAX_COLUMNS = 200
MEND = "give codecarbon's file as it wrote it, or leave it out of release.provenance"
FIGURES = ("energy_consumed", "cpu_energy", "gpu_energy", "ram_energy", "emissions", "duration")
WORDS = ("codecarbon_version", "tracking_mode", "country_name", "cpu_model", "gpu_model")
"""The columns that are read; the others say when and where."""
METHODS = {"process": "the share of the machine that the process used", "machine": "the whole machine"}
"""What codecarbon takes for the process, by its tracking mode."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What all runs took together."""

    runs: int
    """How many runs there were."""
    kwh: float
    """Kilowatt-hours."""
    parts: Mapping[str, float]
    """The kilowatt-hours of CPU, GPU and RAM."""
    co2: float
    """Kilograms of CO2, or what warms as much: by the mix of electricity of the country."""
    seconds: float
    """How long the runs took."""
    told: Mapping[str, str]
    """By column of WORDS, what the rows say, each once."""

    @property
    def method(self) -> str:
        """How the figures came about, in a sentence."""
        mode = METHODS.get(self.told["tracking_mode"], self.told["tracking_mode"] or "a way that it does not name")
        return (
            f"By codecarbon {self.told['codecarbon_version']}, of {mode}: measured where a processor tells its power, "
            "estimated from its model and load where not."
        )


def of_release(folder: Path) -> Energy | None:
    """What the release in `folder` took; None where nobody recorded it. Raises Malformed as `read` does."""
    return read(folder / layout.EMISSIONS) if (folder / layout.EMISSIONS).is_file() else None


def read(path: Path) -> Energy:
    """The sum of the rows in the file at `path`. Raises Malformed for one that is not codecarbon's, or not whole."""
    text = read_text(path, MAX_BYTES)
    try:
        table = csv.DictReader(io.StringIO(text), strict=True)
        if len(table.fieldnames or ()) > MAX_COLUMNS:
            raise ValueError(f"it has more than {MAX_COLUMNS} columns")
        rows = list(islice(table, MAX_ROWS + 1))
        if not 0 < len(rows) <= MAX_ROWS:
            raise ValueError(f"it has {len(rows)} rows, and not between 1 and {MAX_ROWS}")
        sums = {name: math.fsum(_figure(row, name) for row in rows) for name in FIGURES}
        told = {name: ", ".join(sorted({_word(row, name) for row in rows} - {""})) for name in WORDS}
    except (KeyError, ValueError, csv.Error) as problem:
        raise Malformed(f"{path.name} is not what codecarbon writes: {str(problem)[:200]}", mend=MEND) from problem
    return Energy(
        runs=len(rows),
        kwh=sums["energy_consumed"],
        parts={name: sums[f"{name.lower()}_energy"] for name in ("CPU", "GPU", "RAM")},
        co2=sums["emissions"],
        seconds=sums["duration"],
        told=told,
    )


def _figure(row: Mapping[str, str | None], name: str) -> float:
    value = float(row[name] or "")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value}")
    return value


def _word(row: Mapping[str, str | None], name: str) -> str:
    word = row[name] or ""
    if len(word) > 200 or not word.isprintable():
        raise ValueError(f"{name} is not a word")
    return word
