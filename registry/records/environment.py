"""environment.json: the machine and the software that trained, without a word about when."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from registry.records.checkpoint_chain import Label
from registry.records.record import NO_CONTROLS, Count, Record, Sha256

Text = Annotated[str, StringConstraints(max_length=20_000)]
Line = Annotated[str, StringConstraints(max_length=500, pattern=NO_CONTROLS)]


class Machine(Record):
    """Where it ran. None of this decides a bit under the portable profile."""

    cpu: Line
    """The model's name, as the processor gives it."""
    architecture: Line
    """x86_64, aarch64, ..."""
    features: tuple[Line, ...] = Field(max_length=1000)
    """Instruction sets that numerical libraries choose their code by, sorted."""
    accelerator: Line | None
    """The GPU's name; None where none was used."""
    system: Line
    """The kernel's name."""
    libc: Line
    """The C library and its version."""


class Software(Record):
    """What it ran on."""

    python: Line
    """Python's version."""
    packages: Sha256
    """SHA-256 of requirements.lock."""
    torch: Line
    """torch's version."""
    torch_config: Text
    """torch.__config__.show(): compiler, BLAS, build flags."""
    numpy: Line
    """numpy's version."""
    blas: Line
    """The BLAS that numpy carries, with its version."""
    transformers: Line
    """transformers' version."""
    builds: dict[Line, Sha256] | None = None
    """By `torch` and `numpy`: the SHA-256 over the files that the wheel lists, each with its digest. None in v1. By
    `compiler`, where it made kernels: the SHA-256 of what the C++ compiler says of itself."""
    blas_config: Line | None = None
    """How that BLAS was built, in its own words. None in v1."""


class Shape(Record):
    """What is computed at once, which decides the bits of products and sums."""

    micro_batches: Count
    """Leaves of the tree of sums, in each step."""
    micro_batch_rows: Count
    """Rows in each leaf."""
    context: Count
    """Tokens in a row."""


class NumericProfile(Record):
    """What was asked for, and what was found to hold."""

    name: Label
    """What the profile is called, such as `portable`."""
    digest: Sha256
    """SHA-256 of the profile."""
    settings: dict[Line, str | int | float | bool | None]
    """Everything that the profile names."""
    environment: dict[Line, Line]
    """Variables that were set before numerical libraries were loaded: the profile's, and others that those read."""
    threads: Count
    """In each process."""
    capability: Line
    """The code path of torch's own kernels."""
    blas_core: Line
    """The code path of numpy's BLAS."""


class Environment(Record):
    """environment.json."""

    schema_: Literal["glasshouse.environment/v1", "glasshouse.environment/v2"] = Field(
        "glasshouse.environment/v2", alias="schema"
    )
    """The format, with its version."""
    machine: Machine
    """Where it ran."""
    software: Software
    """What it ran on."""
    profile: NumericProfile
    """How numbers were computed."""
    shape: Shape | None = None
    """What was computed at once; None in v1."""

    @model_validator(mode="after")
    def _of_one_version(self) -> Self:
        added = (self.software.builds, self.software.blas_config, self.shape)
        if any((value is None) != self.schema_.endswith("/v1") for value in added):
            raise ValueError("v2 has builds, blasConfig and shape, and v1 has none of them")
        return self
