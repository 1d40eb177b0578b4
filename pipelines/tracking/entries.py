"""What a stage has for MLflow, one record for each thing that is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel, StringConstraints

from registry import canonical
from registry.records.record import Count, Record, Sha256, validated

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Status = Literal["FINISHED", "FAILED"]
Short = Annotated[str, StringConstraints(max_length=6000)]
MAX_FIGURES = 1000
"""Figures of one evaluation: as many as MLflow takes at once."""


class File(Record):
    """A file that is sent from where it lies, as long as it is still the same."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Where it lies, from the project's root."""
    sha256: Sha256
    """SHA-256 of its bytes when it was recorded."""
    size: Count
    """How many bytes it has."""


class Begun(Record):
    """A training began, or goes on."""

    kind: Literal["begun"] = "begun"
    recipe: Sha256
    """The recipe, by which the run is found."""
    data: Short
    """The Merkle root of the data manifest, or "unknown"."""
    tags: dict[Short, Short] = Field(max_length=100)
    """Tags of the run."""
    params: dict[Short, Short] = Field(max_length=1000)
    """Parameters of the run."""


class Measurements(Record):
    """Some steps were made."""

    kind: Literal["measured"] = "measured"
    recipe: Sha256
    """The recipe, by which the run is found."""
    time: Count
    """When they were recorded, in milliseconds since 1970: with the same time, MLflow keeps a figure once."""
    lines: tuple[dict[Short, float], ...] = Field(max_length=10_000)
    """The figures of each step, by name; `step` is its number."""


class Ended(Record):
    """A training ended."""

    kind: Literal["ended"] = "ended"
    recipe: Sha256
    """The recipe, by which the run is found."""
    status: Status
    """How it ended, in MLflow's words."""
    files: tuple[File, ...] = Field(max_length=10)
    """What describes the environment it ran in."""


class Evaluated(Record):
    """A model was evaluated."""

    kind: Literal["evaluated"] = "evaluated"
    recipe: Sha256
    """The recipe, by which the run is found."""
    time: Count
    """When, in milliseconds since 1970."""
    figures: dict[Short, float] = Field(max_length=MAX_FIGURES)
    """What was measured, by name."""
    files: tuple[File, ...] = Field(max_length=1000)
    """What evaluation wrote."""


class Exported(Record):
    """A model was exported, and is to be a version of the registered model."""

    kind: Literal["exported"] = "exported"
    recipe: Sha256
    """The recipe, by which the run is found."""
    name: Name
    """The registered model."""
    weights: Sha256
    """SHA-256 of its file of weights."""
    files: tuple[File, ...] = Field(min_length=1, max_length=10_000)
    """All files of the model, which lie in one folder."""

    @property
    def model(self) -> str:
        """One digest for all files: equal for equal names and bytes."""
        return canonical.digest({file.path.rpartition("/")[2]: file.sha256 for file in self.files})


Entry = Begun | Measurements | Ended | Evaluated | Exported


class _AnyEntry(RootModel[Annotated[Entry, Field(discriminator="kind")]]):
    """An entry, by its kind."""


def parse(data: bytes, *, name: str) -> Entry:
    """The entry that `data` holds. Raises Malformed for any other bytes; `name` is what errors call it."""
    value = canonical.dumps(canonical.parse(data, name=name))
    with validated(name, mend=f"delete {name}"):
        return _AnyEntry.model_validate_json(value, by_alias=True, by_name=False).root
