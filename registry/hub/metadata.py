"""What the Hub understands of a repository's files, checked here before anything is sent.

The metadata block of README.md, and `.eval_results/*.yaml`. A value the Hub does not know would be refused late, after
the upload, or shown wrongly for ever: a release does not change.

Sources: huggingface.co/docs/hub/model-cards, /eval-results.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from registry import strict_yaml
from registry.errors import InputError, Malformed
from registry.files import read_bytes
from registry.hub.licence_names import LICENCES
from registry.hub.reference import is_name
from registry.records.layout import CARD, RESULTS
from registry.records.record import validated

MAX_CARD = 4 << 20
MEND = "mend the `release` section of params.yaml, and run `dvc repro`"
_FRONT_MATTER = re.compile(rb"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\r\n]*$")]
Language = Annotated[str, Field(pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*|code|multilingual)$")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$")]
Licence = Annotated[str, Field(max_length=100)]


class Card(BaseModel):
    """The metadata block of README.md: the fields the Hub gives a meaning. Others are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, defer_build=True)

    license: Licence | list[Licence]
    """As the Hub knows it: lowercase."""
    license_name: Label | None = None
    license_link: Line | None = None
    language: Language | list[Language] | None = None
    datasets: list[Line] | None = None
    """On the Hub: `name` or `owner/name`."""
    base_model: Line | list[Line] | None = None
    base_model_relation: Literal["finetune", "adapter", "merge", "quantized"] | None = None
    pipeline_tag: Label | None = None
    library_name: Label | None = None
    tags: list[Line] | None = None

    @field_validator("license")
    @classmethod
    def _is_known(cls, value: str | list[str]) -> str | list[str]:
        for name in [value] if isinstance(value, str) else value:
            if name not in LICENCES:
                raise ValueError(
                    f"the Hub knows no licence {name!r}; write `license: other` with license_name and license_link"
                )
        return value

    @field_validator("datasets", "base_model")
    @classmethod
    def _are_repositories(cls, value: str | list[str] | None) -> str | list[str] | None:
        for name in [value] if isinstance(value, str) else value or []:
            parts = name.split("/")
            if len(parts) > 2 or not all(map(is_name, parts)):
                raise ValueError(f"{name!r} names no repository on the Hub")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ValueError("`license: other` needs license_name and license_link")
        if self.base_model_relation and not self.base_model:
            raise ValueError("base_model_relation says nothing without base_model")
        return self


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class Benchmark(_Strict):
    """Which task of which data set was evaluated."""

    id: Line
    task_id: Line
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None


class ResultSource(_Strict):
    """Where the figure can be looked up."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2000)]
    name: Line | None = None
    user: Line | None = None
    org: Line | None = None


class Result(_Strict):
    """One entry of `.eval_results/*.yaml`."""

    dataset: Benchmark
    value: int | float | str
    verify_token: Annotated[str | None, Field(alias="verifyToken")] = None
    date: Moment | None = None
    source: ResultSource | None = None
    notes: Line | None = None


def check(folder: Path) -> None:
    """Check the card and the evaluation results in `folder`. Raises InputError that names each field that is amiss."""
    check_card(read_bytes(folder / CARD, MAX_CARD, mend="dvc repro"))
    for path in sorted(folder.glob(f"{RESULTS}/*")):
        if path.suffix != ".yaml" or not path.is_file() or path.is_symlink():
            raise InputError(f"{RESULTS}/{path.name} is not a YAML file", mend=f"remove it from {RESULTS}")
        check_results(path.read_bytes()[: strict_yaml.MAX_BYTES + 1], name=f"{RESULTS}/{path.name}")


def front_matter(data: bytes) -> dict[str, Any] | None:
    """The metadata block that the card `data` begins with; None where it has none.

    Raises Malformed for a card of more than MAX_CARD bytes, and for a block that is not a map in plain YAML.
    """
    if len(data) > MAX_CARD:
        raise Malformed(f"{CARD} has more than the {MAX_CARD} bytes allowed", mend=f"shorten {CARD}")
    if (found := _FRONT_MATTER.match(data)) is None:
        return None
    name = f"the metadata of {CARD}"
    document = strict_yaml.parse(found[1], name=name)
    if not isinstance(document, dict):
        raise Malformed(f"{name} is not a map", mend=f"begin {CARD} with lines `---`, `license: …`, `---`")
    return document


def after_front_matter(data: bytes) -> bytes:
    """What follows the metadata block that the card `data` begins with; all of it where there is none."""
    found = _FRONT_MATTER.match(data)
    return data[found.end() :] if found else data


@dataclass(frozen=True, slots=True)
class CardFaults:
    """What the Hub says of a card. errors: what it does not take.  warnings: what it takes, and is worth a word."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def look_at(card: bytes) -> CardFaults:
    """What is amiss with a card that somebody is about to send to a Hub, as the Hub words it."""
    try:
        document = front_matter(card)
    except Malformed as problem:
        return CardFaults((problem.message,))
    if document is None:
        return CardFaults(warnings=(f"empty or missing yaml metadata in repo card: begin {CARD} with `---`",))
    errors = []
    named = document.get("license")
    for name in named if isinstance(named, list) else [] if named is None else [named]:
        if not isinstance(name, str) or name not in LICENCES:
            errors.append(f'"license" must be one of [{", ".join(sorted(LICENCES))}], not {str(name)[:80]!r}')
    if not isinstance(document.get("model-index", []), list):
        errors.append('"model-index" must be an array')
    return CardFaults(tuple(errors))


def check_card(data: bytes) -> Card:
    """The metadata of a card. Raises InputError for one without, or with a value the Hub does not know."""
    document = front_matter(data)
    if document is None:
        raise InputError(f"{CARD} has no metadata block", mend=f"begin {CARD} with lines `---`, `license: …`, `---`")
    with validated(CARD, mend=MEND):
        return Card.model_validate(document)


def check_results(data: bytes, *, name: str) -> tuple[Result, ...]:
    """The entries of one file of `.eval_results`. Raises InputError for any other."""
    document: Any = strict_yaml.parse(data, name=name)
    if not isinstance(document, list) or not document:
        raise InputError(f"{name} is not a list of results", mend=f"mend {name}: a list of {{dataset, value}}")
    with validated(name, mend=MEND):
        return tuple(Result.model_validate(row) for row in document)
