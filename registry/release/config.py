"""The `release` section of params.yaml: what a DVC project says of its releases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from registry.errors import InputError
from registry.hub import licence_names, metadata
from registry.hub.reference import DATASETS
from registry.openness.cards.model_card import About
from registry.openness.eu import Eu
from registry.openness.told import Heading, Language, NamedSigner, Prose, Rai
from registry.records import folders, kinds, project
from registry.records.data_manifest import DOCUMENTS
from registry.records.openness_record import OpennessClass
from registry.records.project import ReplayContract
from registry.records.rebuild import RebuildContract
from registry.records.record import ParamsSection, validated
from registry.records.release_record import Declared, StatedLicences
from registry.records.run import ProjectPath
from registry.release.gguf_file import Type
from registry.release.kinds.label import Relation

PARAMS = "params.yaml"

_NAME = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"


class DataCompanion(ParamsSection):
    """The data set that the model was trained on, as a data set of the Hub: texts, manifest, card, Croissant."""

    kind: Literal["data"]
    """Says that it is this one."""
    repo: Annotated[str, StringConstraints(pattern=rf"^{DATASETS}{_NAME}$")]
    """Where it is published: datasets/namespace/name."""
    documents: ProjectPath = f"{folders.CORPUS}/{DOCUMENTS}"
    """The texts, with the columns of the corpus stage."""


class GgufCompanion(ParamsSection):
    """The weights as llama.cpp and its kin load them: GGUF files made from the release, a card, the tokenizer.

    For a Llama with a byte-level BPE tokenizer. Needs the extra `gguf`.
    """

    kind: Literal["gguf"]
    """Says that it is this one."""
    repo: Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
    """Where it is published: namespace/name, by custom with -GGUF at its end."""
    types: Annotated[tuple[Type, ...], Field(min_length=1)] = ("F16", "Q8_0")
    """A file for each: F32, F16, BF16 or Q8_0. Vectors stay F32. In Q8_0, rows whose length is not a multiple of 32 are
    F16."""
    pre_tokenizer: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    """What llama.cpp calls the way to part text into words that is nearest to the tokenizer's own; passed over where it
    knows that one. Without it llama.cpp warns, and takes its own."""

    @field_validator("types")
    @classmethod
    def _once(cls, value: tuple[Type, ...]) -> tuple[Type, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a type stands twice")
        return value


class FolderCompanion(ParamsSection):
    """A folder as it is, with a README.md of its own: the weights in another form, made by another tool."""

    kind: Literal["folder"]
    """Says that it is this one."""
    repo: Annotated[str, StringConstraints(pattern=rf"^({DATASETS})?{_NAME}$")]
    """Where it is published: namespace/name, or datasets/namespace/name."""
    folder: ProjectPath
    """What is published. The card of a model must name the released one as its base_model."""


class ReleaseConfig(ParamsSection):
    """What is released, from where, and what only a person can say of it. What is left out is not said."""

    repo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")]
    """Where it is published on the Hub: namespace/name."""
    license: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """The weights' licence: an SPDX expression, a name that the Hub knows, or `other` with the two fields below."""
    model: ProjectPath
    """What is released: a directory, whose files stand at the root of the release, or one file. A stage wrote it."""
    license_name: metadata.Label | None = None
    """With `license: other`: what the licence is called."""
    license_link: metadata.Line | None = None
    """With `license: other`: where its text is, a file of the release or a URL."""
    licenses: StatedLicences | None = None
    """The licences of the rest: of the source, of tables and records, of cards and reports. A component of the Model
    Openness Framework counts only with one."""
    openness: OpennessClass | None = None
    """The class of that framework that the release must show; nothing that shows less is prepared."""
    title: Heading | None = None
    """The heading of the model card; the model's name, where nothing is said."""
    languages: tuple[Language, ...] = ()
    """ISO 639 codes, or `code`; none for a model that has to do with no language."""
    kind: str | None = None
    """Which kind of model it is, where its files do not tell, or tell it wrongly: registry.records.kinds."""
    library_name: metadata.Label | None = None
    """What loads it, as the Hub calls it; what its kind says, where nothing is said."""
    pipeline_tag: metadata.Label | None = None
    """What it does, as the Hub calls it; what its files say, where nothing is said."""
    base_model_relation: Relation | None = None
    """How it came of `base_model`."""
    provenance: tuple[ProjectPath, ...] | None = None
    """Files that stand under `provenance/`, each by the last part of its path. Where nothing is said, those that the
    project has are found: metrics and plots of DVC, the lock of packages, records of known formats."""
    output: ProjectPath = folders.DRAFT
    """Where a stage of dvc.yaml writes the draft, if one does."""
    intended_use: Prose | None = None
    """Markdown for the card: what the model is for."""
    limits: Prose | None = None
    """Markdown for the card: what it is not for, and where it fails."""
    signer: NamedSigner | None = None
    """Who signs the releases: cards then show how to verify with it, and what another one signed is not published."""
    rai: Rai | None = None
    """What is said of the training data, for croissant.json."""
    eu: Eu | None = None
    """What the provider says for the public summary of training content that the EU asks for."""
    base_model: tuple[Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")], ...] = ()
    """Models of the Hub that this one was trained from; none for one that was trained from its seed."""
    companions: tuple[Annotated[DataCompanion | GgufCompanion | FolderCompanion, Field(discriminator="kind")], ...] = ()
    """What is published beside the model, in repositories of their own, under the same tag."""
    declared: tuple[Declared, ...] = ()
    """Files of the release that a stranger cannot tell to be harmless, such as code, each with why it is there."""
    replay: ReplayContract = Field(default_factory=ReplayContract)
    """What others need to know to replay the training."""
    rebuild: RebuildContract = Field(default_factory=RebuildContract)
    """What others need to know to rebuild what is released."""

    @field_validator("kind")
    @classmethod
    def _is_a_kind(cls, value: str | None) -> str | None:
        if value is not None and value not in kinds.NAMES:
            raise ValueError(f"there is no such kind of model; one of {', '.join(kinds.NAMES)}")
        return value

    @model_validator(mode="after")
    def _licence_is_one(self) -> Self:
        named = self.license_name is not None and self.license_link is not None
        if named != (self.license == "other") or (self.license_name is None) != (self.license_link is None):
            raise ValueError("`license: other` goes with license_name and license_link, and no other licence does")
        if not licence_names.is_known(self.license):
            raise ValueError(
                f"license: {self.license[:80]!r} is neither an SPDX expression nor a name that the Hub knows; "
                "write `license: other` with license_name and license_link"
            )
        return self

    @field_validator("licenses")
    @classmethod
    def _licences_are_some(cls, value: StatedLicences | None) -> StatedLicences | None:
        for field, expression in (value.as_json() if value else {}).items():
            if not licence_names.is_known(expression):
                raise ValueError(f"{field}: {expression[:80]!r} is not an SPDX expression")
        return value

    @model_validator(mode="after")
    def _each_its_own(self) -> Self:
        repos = [self.repo, *(companion.repo for companion in self.companions)]
        if len({repo.lower() for repo in repos}) != len(repos):
            raise ValueError("two companions would be published to one repository")
        if len(self.datasets) > 1:
            raise ValueError("only one companion can be of kind `data`: the data that the model was trained on")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that the card names, as the Hub calls them."""
        return tuple(c.repo.removeprefix(DATASETS) for c in self.companions if isinstance(c, DataCompanion))

    @property
    def derived(self) -> tuple[str, ...]:
        """The companions that are made from the release: they change with its version, if with nothing else."""
        return tuple(companion.repo for companion in self.companions if not isinstance(companion, FolderCompanion))

    @property
    def name(self) -> str:
        """The model's name, without its namespace."""
        return self.repo.split("/")[1]

    @property
    def heading(self) -> str:
        """The heading of its cards."""
        return self.title or self.name

    @property
    def licence(self) -> dict[str, str]:
        """The fields by which a card names the licence."""
        if self.license_name and self.license_link:
            return {"license": "other", "license_name": self.license_name, "license_link": self.license_link}
        return licence_names.fields(self.license)

    @property
    def spdx(self) -> str:
        """The licence as an SPDX expression: one that has no identifier is `LicenseRef-` and its name."""
        return f"LicenseRef-{self.license_name.replace('_', '-')}" if self.license_name else self.license

    @property
    def about(self) -> About:
        """What the model card is told."""
        return About(
            repo=self.repo,
            title=self.heading,
            license=self.spdx,
            languages=self.languages,
            model=self.model,
            intended_use=self.intended_use,
            limits=self.limits,
            licence=self.licence,
            datasets=self.datasets,
            base_model=self.base_model,
            signer=self.signer,
        )


def load(root: Path, name: str | None = None) -> ReleaseConfig:
    """The `release` section of the project at `root`: of params.yaml, else of glasshouse.yaml.

    name: which of several models. Raises InputError that names each field that is amiss, and where there are several
    and none is named.
    """
    file, section = project.release_section(root)
    if section is None:
        raise InputError(
            f"{PARAMS} has no `release` section, and there is no {project.SETTINGS} with one",
            mend="glasshouse init --model PATH --repo ORG/NAME --license SPDX; docs/how-to/adopt.md shows it",
        )
    models = project.several(section)
    if name is not None and name not in models:
        raise InputError(f"{file} has no release {name[:80]!r}", mend=f"one of: {', '.join(models) or 'none'}")
    if name is None and len(models) > 1:
        raise InputError(
            f"{file} has {len(models)} releases: {', '.join(models)}", mend=f"name one: --name {next(iter(models))}"
        )
    chosen = name if name is not None else next(iter(models), "")
    with validated(file, under=f"release.{chosen}." if chosen else "release.", mend=f"mend those lines of {file}"):
        return ReleaseConfig.model_validate(models.get(chosen, section))


def other_models(root: Path, config: ReleaseConfig) -> tuple[str, ...]:
    """What the other releases of the project at `root` release, where its `release` section has several."""
    models = project.several(project.release_section(root)[1]).values()
    paths = {row["model"] for row in models if isinstance(row, dict) and isinstance(row.get("model"), str)}
    return tuple(sorted(path.rstrip("/") for path in paths - {config.model}))
