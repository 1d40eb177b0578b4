"""How the model of a project is rebuilt: what a project declares, and what of it is signed with a release.

    release: {rebuild: {...}}     of params.yaml or glasshouse.yaml    RebuildContract
    rebuild: {...}                of provenance/release.json           DeclaredRebuild

The first is what a person writes, and may leave out. The second is whole, since whoever cuts a release knows the rest:
which stages lead to what is released, which file pins the packages, and where each output lies in the project. An
auditor reads the second, and trusts none of it.

Law: what `DeclaredRebuild` accepts can be handed to a command and joined to a folder: a path stays inside the project,
and the first word of the command cannot be taken for an option.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from registry.manifest import check_path
from registry.records.layout import LockTool
from registry.records.record import NO_CONTROLS, ParamsSection, Record, Sha256
from registry.records.run import ProjectPath
from registry.suffixes import SAFETENSORS

JSON = ".json"
COMPARABLE = (SAFETENSORS, JSON)
"""How the names of files end that can be within a tolerance: arrays, and figures."""
REPRO = ("dvc", "repro", "--force", "--no-run-cache")
"""The command that takes nothing for done; targets follow it."""
MAX_OUTPUTS = 10_000

Word = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=NO_CONTROLS)]
Target = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./@=:-]{0,299}$")]
"""A stage, as DVC writes its address: `train`, or `models/dvc.yaml:train@small`."""
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/:-]{0,299}@sha256:[0-9a-f]{64}$")]
"""An image of a container, by its digest: a tag can move."""
Near = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _checked(path: str) -> str:
    check_path(path)
    return path


def _runs(command: tuple[str, ...]) -> tuple[str, ...]:
    if command[0].startswith("-"):
        raise ValueError("the first word is an option, and not a program")
    return command


Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=1100), AfterValidator(_runs)]
"""A program, and what it is told, word by word."""


class Tolerance(ParamsSection):
    """How far an output may be from the released one: `|rebuilt - released| <= atol + rtol * |released|`, number by
    number, as of numpy.allclose. Neither by default: the bytes must be the same."""

    rtol: Near = 0.0
    """Relative to the released number."""
    atol: Near = 0.0
    """Absolute."""


class EnvironmentContract(ParamsSection):
    """What the stages run in: a lock of packages, or an image of a container."""

    kind: LockTool | None = None
    """Whose format the lock has; what its name says, where nothing is said."""
    file: ProjectPath | None = None
    """The lock, in the project. Its digest is signed."""
    image: Image | None = None
    """NAME@sha256:DIGEST. An audit neither pulls nor builds it: it is run inside."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) is (self.image is None) or (self.kind is not None and self.file is None):
            raise ValueError("it is either `file` (and its `kind`) or `image`")
        return self


class RebuildContract(ParamsSection):
    """How others rebuild what is released: docs/how-to/audit.md. All of it can be left out."""

    command: Command | None = None
    """What rebuilds, run at the project's root, word by word: no shell reads it. Nothing said: `dvc repro` of
    `targets`, by which no stage is taken for done."""
    targets: Annotated[tuple[Target, ...], Field(max_length=1000)] = ()
    """Stages that DVC is to run, with those that they need. Nothing said: those that wrote what is released."""
    environment: EnvironmentContract | None = None
    """What the stages run in. Nothing said: the lock of packages that the project has, if it has one."""
    tolerances: dict[ProjectPath, Tolerance] = Field({}, max_length=1000)
    """By output of the project, or folder: how far arrays in .safetensors, and figures in .json,
    .yaml and .toml, may be apart."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.command and self.targets:
            raise ValueError("`command` and `targets` contradict each other")
        return self

    def tolerance(self, output: str) -> Tolerance:
        """What is declared for `output` of the project, or for the nearest folder that it lies in."""
        within = [path for path in self.tolerances if output == path or output.startswith(f"{path}/")]
        return self.tolerances[max(within, key=len)] if within else Tolerance()


class DeclaredEnvironment(Record):
    """A lock of packages by its digest, or an image by its own."""

    kind: LockTool | Literal["image"]
    """Whose format the lock has."""
    file: ProjectPath | None = None
    """The lock, in the project; left out of the JSON for an image."""
    sha256: Sha256 | None = None
    """SHA-256 of that file; left out of the JSON for an image."""
    image: Image | None = None
    """NAME@sha256:DIGEST; left out of the JSON for a lock."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        told = (self.file is not None, self.sha256 is not None, self.image is not None)
        if told != ((False, False, True) if self.kind == "image" else (True, True, False)):
            raise ValueError("an image has its name, and a lock its file and sha256")
        return self

    @property
    def words(self) -> str:
        """What it is, by its digest."""
        return self.image or f"{self.file} sha256:{self.sha256}"


class DeclaredOutput(Record):
    """A file of the release that a stage wrote."""

    path: Annotated[str, AfterValidator(_checked)]
    """In the release."""
    source: ProjectPath
    """In the project, where a rebuild writes it."""
    rtol: Near = 0.0
    """As of Tolerance; left out of the JSON where it is 0."""
    atol: Near = 0.0
    """As of Tolerance; left out of the JSON where it is 0."""


class DeclaredRebuild(Record):
    """How a release is rebuilt, and which of its files are then compared."""

    command: Command
    """What is run at the project's root."""
    environment: DeclaredEnvironment | None = None
    """What it runs in; left out of the JSON where the project pins nothing."""
    outputs: tuple[DeclaredOutput, ...] = Field(min_length=1, max_length=MAX_OUTPUTS)
    """Each file that a stage wrote, by its path in the release."""

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        if len({output.path for output in self.outputs}) != len(self.outputs):
            raise ValueError("an output stands twice")
        return self

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        return self.model_dump(by_alias=True, mode="json", exclude_defaults=True)
