"""provenance/openness.json: how open a release is, component by component, each with the files that show it.

It is a function of the other files of the release (registry.openness.released), so whoever verifies makes it again and
compares. The rules by which version 1 is made never change: another rule is another version.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from registry.manifest import check_path
from registry.records.record import Record, Sha256

OpennessClass = Literal["I", "II", "III"]
"""A class of the Model Openness Framework. I, Open Science, has all that II has, and II, Open Tooling, all that III
has, Open Model."""
CLASSES: tuple[OpennessClass, ...] = get_args(OpennessClass)
"""The most open first."""
ComponentState = Literal["open", "conditional", "missing", "unknown"]
"""What is known of a component:

open         it is there, under an open licence of its own type
conditional  it is there, under an open licence of another type; it counts
missing      it is not there, nobody else can get it, or its licence is not an open one
unknown      whether it is there, or under which licence, cannot be seen
"""
COUNTED: tuple[ComponentState, ...] = ("open", "conditional")
"""The states of a component that counts."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,49}$")]
Place = Literal["release", "source", "hub"]
"""Where a file is: in the release, in the git commit that the release names, or elsewhere on a Hub."""
MAX_FILES = 20_000


def _checked(path: str) -> str:
    check_path(path.removesuffix("/"))
    return path


class EvidenceFile(Record):
    """One file that a component is."""

    path: Annotated[str, StringConstraints(max_length=1024), AfterValidator(_checked)]
    """POSIX, from the root of the release, of the project in its commit, or of the repository on the Hub. A directory
    ends in a slash."""
    sha256: Sha256 | None = None
    """SHA-256 of its bytes; of a directory, its digest. Left out of the JSON where nobody measured it."""
    at: Place = "release"
    """Where that is."""


class OpenComponent(Record):
    """One component, and whether it counts."""

    name: Name
    """Which one: registry.openness.framework."""
    state: ComponentState
    """Whether it counts."""
    license: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None
    """SPDX expression; None where none is known."""
    files: tuple[EvidenceFile, ...] = Field(max_length=MAX_FILES)
    """What it is, by place and path."""


class OpennessRecord(Record):
    """provenance/openness.json."""

    schema_: Literal["glasshouse.openness/v1"] = Field("glasshouse.openness/v1", alias="schema")
    """The format, with its version, and that of the rules."""
    framework: Literal["MOF 1.0"] = "MOF 1.0"
    """The Model Openness Framework, with its version."""
    reached: OpennessClass | None = Field(alias="class")
    """The class that the components reach; None where they reach none."""
    components: tuple[OpenComponent, ...] = Field(max_length=100)
    """Each component of the framework, in its order."""
    osaid: dict[Name, ComponentState] = Field(max_length=100)
    """What the Open Source AI Definition 1.0 asks for, and whether it is there."""

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        if len({component.name for component in self.components}) != len(self.components):
            raise ValueError("a component stands twice")
        return self
