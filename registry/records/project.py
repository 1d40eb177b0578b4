"""What a project says of itself, so that others can replay its training: the `release` section of its params.yaml.

    release:
      output: build/release                         where the draft is written
      provenance: [build/tokens/tokens.json, ...]   where each record comes from, by the last part of its path
      replay: {...}                                 how the training is replayed: ReplayContract

The file stands in the release, and is signed with it. What it does not say is what this project has, so that releases
from before there was a contract are replayed as ever. Whoever reads it trusts none of it.

Law: of any bytes, what `Project.parse` accepts can be handed to a command and joined to a folder: a path stays inside
the project, and no name of a stage or of a module can be taken for an option.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints

from registry import canonical, strict_yaml
from registry.errors import Malformed, Unavailable
from registry.records import data_manifest, folders, layout, tokens, training_folder
from registry.records.addresses import StageName
from registry.records.order import Sampling
from registry.records.record import ParamsSection, validated
from registry.records.run import ProjectPath

LOCK = "requirements.lock"
PARAMS = "params.yaml"
SETTINGS = "glasshouse.yaml"
"""Where a project says of its releases what its params.yaml cannot: it has none, or one of another form."""

_WORD = "[A-Za-z_][A-Za-z0-9_]{0,99}"
ModuleName = Annotated[str, StringConstraints(pattern=rf"^{_WORD}(\.{_WORD}){{0,9}}$")]
"""What `python -m` is given."""
_KEY = "[A-Za-z0-9_-]{1,100}"
Setting = Annotated[str, StringConstraints(pattern=rf"^{_KEY}(\.{_KEY}){{0,9}}$")]
"""The place of a value in params.yaml, such as train.steps."""


class AdamW(ParamsSection):
    """Where params.yaml has what binds the state of AdamW to the lengths of the gradients."""

    clip_norm: Setting = "train.clip_norm"
    """The greatest length of a gradient."""
    beta2: Setting = "train.beta2"
    """The weight of the running mean of squares."""


class DataOrder(ParamsSection):
    """The training takes its rows in the order of registry.records.order, and params.yaml has here what decides it."""

    kind: Literal["feistel/v1"] = "feistel/v1"
    """Which order it is; there is one so far."""
    seed: Setting = "seed"
    """The seed of the order."""
    context: Setting = "model.context"
    """How many tokens a row has."""


class ReplayContract(ParamsSection):
    """How the training of a project is replayed: docs/reference/replay.md."""

    module: ModuleName = "pipelines.replay"
    """What `python -m` runs to replay: a module of the source."""
    data: StageName = "encode"
    """The stage of dvc.yaml that ends in tokens.json. It is run first, with every stage that it needs."""
    made: dict[ProjectPath, ProjectPath] = Field(
        {"tokenizer.json": f"{folders.TOKENIZER}/tokenizer.json"}, max_length=100
    )
    """What else of the release those stages make, beside its records: path in the release, and path in the project."""
    steps: Setting = "train.steps"
    """Where params.yaml says how many steps there are in all."""
    rows: Annotated[tuple[Setting, ...], Field(min_length=1, max_length=10)] = (
        "train.micro_batches",
        "train.micro_batch_rows",
    )
    """Where it says how many rows a step takes: the product of these."""
    processes: Setting | None = "train.micro_batches"
    """Where it says how many processes can share a step; null: a step is not shared."""
    adamw: AdamW | None = Field(default_factory=AdamW)
    """null: another optimizer, of whose state an audit only knows that its numbers must be finite."""
    order: DataOrder | None = None
    """In which order the rows of the data are taken; null: in another one, or nobody says, and what a step saw cannot
    be told."""

    def is_in(self, tree: Path) -> bool:
        """Whether the source in the folder `tree` has the module."""
        path = tree.joinpath(*self.module.split("."))
        return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


class _Release(ParamsSection):
    """What is read of the `release` section. Its other fields are the law of whoever cuts releases."""

    model_config = ConfigDict(extra="ignore")

    output: ProjectPath = folders.DRAFT
    provenance: Annotated[tuple[ProjectPath, ...], Field(max_length=1000)] = (
        f"{folders.CORPUS}/{data_manifest.SUMMARY}",
        f"{folders.CORPUS}/{data_manifest.ROWS}",
        f"{folders.TOKENS}/{tokens.NAME}",
        f"{folders.TRAINED}/{training_folder.CHAIN}",
        LOCK,
    )
    replay: ReplayContract = Field(default_factory=ReplayContract)


def several(section: Any) -> dict[str, Any]:
    """The sections in a `release` section, by name: of a map of them the keys, of a list what each `repo` ends in.

    One section alone has the name "".
    """
    match section:
        case list():
            return {_name(row, number): row for number, row in enumerate(section)}
        case dict() if section and all(isinstance(row, dict) and "repo" in row for row in section.values()):
            return dict(section)
    return {"": section}


def _name(row: Any, number: int) -> str:
    repo = row.get("repo") if isinstance(row, dict) else None
    return repo.rpartition("/")[2] if isinstance(repo, str) else str(number)


def release_section(root: Path) -> tuple[str, Any]:
    """The file of the project at `root` with its `release` section, and the section; None where no file has one.

    params.yaml counts first. Raises Malformed for what is not plain YAML, and where both files have one.
    """
    found = {}
    for name in (PARAMS, SETTINGS):
        if (root / name).is_file():
            document = strict_yaml.read(root / name, aliases=True)
            if isinstance(document, dict) and document.get("release") is not None:
                found[name] = document["release"]
    if len(found) > 1:
        raise Malformed(f"{PARAMS} and {SETTINGS} both have a `release` section", mend=f"leave that of {SETTINGS}")
    return next(iter(found.items()), (PARAMS, None))


@dataclass(frozen=True, slots=True)
class Project:
    """A project, as its params.yaml tells."""

    draft: str
    """The folder of the draft of a release."""
    provenance: tuple[str, ...]
    """Where the records come from."""
    replay: ReplayContract
    """How its training is replayed."""
    settings: Mapping[str, Any]
    """All of params.yaml."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What the params.yaml at `path` says. Raises Malformed as `parse` does, InputError when it is missing."""
        return cls.parse(strict_yaml.read(path, aliases=True), name=path.name)

    @classmethod
    def parse(cls, settings: Any, *, name: str = "params.yaml") -> Self:
        """What `settings` say, which came from hostile YAML. Raises Malformed that names each field that is amiss."""
        mend = f"mend {name}: docs/reference/replay.md"
        match settings:
            case {"release": dict() | list() as said}:
                section = several(said).get("", {})  # of several models, none can be replayed
            case dict() if "release" not in settings:
                section = {}
            case _:
                raise Malformed(f"{name} is not a map with a map `release`", mend=mend)
        with validated(name, mend=mend, under="release."):
            found = _Release.model_validate_json(canonical.dumps(section))
        return cls(found.output, found.provenance, found.replay, settings)

    def source_of(self, place: str) -> str | None:
        """Where the project has the file that stands at `place` in its release; None where it does not say."""
        folder, _, name = place.rpartition("/")
        if folder == layout.PROVENANCE:
            return next((path for path in self.provenance if PurePosixPath(path).name == name), None)
        return self.replay.made.get(place)

    @property
    def trained(self) -> str:
        """The folder of its training: registry.records.training_folder."""
        chain = self.source_of(layout.CHECKPOINTS)
        return PurePosixPath(chain).parent.as_posix() if chain else folders.TRAINED

    @property
    def lock(self) -> str:
        """Its lock of packages."""
        return self.source_of(layout.REQUIREMENTS) or LOCK

    @property
    def steps(self) -> int:
        """How many steps its training has. Raises Unavailable where params.yaml does not say."""
        return self._count(self.replay.steps)

    @property
    def rows(self) -> int:
        """How many rows of the data order each step takes. Raises Unavailable where params.yaml does not say."""
        return math.prod(map(self._count, self.replay.rows))

    @property
    def processes(self) -> int:
        """How many processes can share a step. Raises Unavailable where params.yaml does not say."""
        return 1 if self.replay.processes is None else self._count(self.replay.processes)

    @property
    def adamw(self) -> tuple[float, float] | None:
        """The greatest length of a gradient, and beta2; None for another optimizer, or where nobody says."""
        if self.replay.adamw is None:
            return None
        match self._value(self.replay.adamw.clip_norm), self._value(self.replay.adamw.beta2):
            case ((int() | float() as clip), float(beta2)) if clip > 0 and 0 < beta2 < 1:
                return float(clip), beta2
        return None

    def sampling(self, tokens: int) -> Sampling:
        """What the training takes from a split of `tokens`, step by step. Raises Unavailable where nobody says."""
        order = self.replay.order
        seed = None if order is None else self._value(order.seed)
        if order is None or not isinstance(seed, int) or not 0 <= seed <= canonical.MAX_SAFE_INTEGER:
            raise Unavailable(
                "params.yaml does not say in which order the training took its data",
                mend="ask the maintainer to say so in release.replay.order: docs/reference/replay.md",
            )
        found = Sampling(seed, self._count(order.context), self.rows, self.steps, tokens)
        if found.rows < 1:
            raise Unavailable(
                f"{tokens} tokens do not fill one row of {found.context}",
                mend="ask the maintainer to mend release.replay.order: docs/reference/replay.md",
            )
        return found

    def _count(self, place: str) -> int:
        match self._value(place):
            case int(found) if 0 < found <= canonical.MAX_SAFE_INTEGER:
                return found
        raise Unavailable(
            f"params.yaml does not say how training goes in steps: {place} is not a whole number above 0",
            mend="ask the maintainer to name the settings in release.replay: docs/reference/replay.md",
        )

    def _value(self, place: str) -> Any:
        found: Any = self.settings
        for key in place.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return None if isinstance(found, bool) else found
