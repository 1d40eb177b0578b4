"""What every record has in common: strict fields, camelCase in JSON, canonical bytes.

Law: `T.from_bytes(t.to_bytes()) == t`, and equal records have equal bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel

from registry import canonical
from registry.errors import Malformed
from registry.files import read_bytes

NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
"""The pattern of one line of text. How long it may be is said beside it: within a pattern that takes milliseconds."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=canonical.MAX_SAFE_INTEGER)]
"""A number of things, or of bytes."""


def _given(value: Any, info: ValidationInfo) -> Any:
    if value is None and info.mode == "json":
        raise ValueError("null is not written: leave it out")
    return value


def absent() -> Any:
    """A field that is left out where there is nothing to say: records from before it was thought of keep their bytes.

    Law: it is None, or it stands in the JSON; null there is refused.
    """
    return Field(default=None, exclude_if=lambda value: value is None)


Given = BeforeValidator(_given)
"""Goes with `absent`."""
REMAKE = "write {} anew with the stage that makes it: dvc repro"
MAX_TOLD = 5
"""An error names so many of the places that are amiss."""
MAX_KEPT, MAX_KEPT_BYTES = 32, 256 << 10
"""So many records are kept once they were read, each of so many bytes at most: a release's own are asked for by each
of the checks that goes by them."""


@contextmanager
def validated(name: str, *, mend: str, under: str = "") -> Iterator[None]:
    """Within: what pydantic refuses is Malformed, which names each place in `name`, what is wrong there, and its value.

    under: the place in `name` where the value stands that pydantic was given, such as `release.`.
    """
    try:
        yield
    except ValidationError as problem:
        raise _malformed(problem, name, mend, under) from problem


def _malformed(problem: ValidationError, name: str, mend: str, under: str = "") -> Malformed:
    rows = problem.errors(include_url=False, include_context=False)[:MAX_TOLD]
    told = (_amiss(under, row["loc"], row["msg"], None if row["type"] == "missing" else row["input"]) for row in rows)
    return Malformed(f"{name}: {'; '.join(told)}", mend=mend)


def _amiss(under: str, location: tuple[int | str, ...], said: str, found: Any) -> str:
    place = f"{under}{'.'.join(map(str, location))}"[:200].removesuffix(".") or "the whole"
    words = f"{place}: {said.removeprefix('Value error, ')[:300]}"  # the prefix is pydantic's, the rest a validator's
    return f"{words}, found {str(found)[:80]!r}" if isinstance(found, str | int | float) else words


class ParamsSection(BaseModel):
    """What a person writes in YAML: these keys, no others, and it cannot be changed. Its schema is built at its first
    use, for most commands read few of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Record(BaseModel):
    """A JSON object with these keys, no more and no fewer, that cannot be changed."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        defer_build=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        return self.model_dump(by_alias=True, mode="json")

    def to_bytes(self) -> bytes:
        """The canonical bytes of this record."""
        return canonical.dumps(self.as_json())

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str, max_bytes: int = canonical.MAX_BYTES) -> Self:
        """The record that the hostile bytes `data` hold, called `name` in errors. Raises Malformed for any others."""
        if len(data) <= min(max_bytes, MAX_KEPT_BYTES):
            return cls._read_once(data, name)
        return cls.from_json(canonical.parse(data, name=name, max_bytes=max_bytes), name=name)

    @classmethod
    @lru_cache(MAX_KEPT)
    def _read_once(cls, data: bytes, name: str) -> Self:
        """The same record for the same bytes. What is refused is read anew."""
        return cls.from_json(canonical.parse(data, name=name), name=name)

    @classmethod
    def from_canonical(cls, data: bytes, *, name: str, max_bytes: int = canonical.MAX_BYTES) -> Self:
        """`from_bytes`, of bytes that are canonical. Raises Malformed for others that say the same, too."""
        canonical.check_shape(data, name=name)
        if len(data) > max_bytes or not canonical.is_canonical(data):
            canonical.parse(data, name=name, max_bytes=max_bytes)  # says what is amiss, where it is not the spelling
            raise Malformed(f"{name} is not canonical JSON", mend=REMAKE.format(name))
        return cls._of(data, name)

    @classmethod
    def from_json(cls, value: Any, *, name: str) -> Self:
        """The record that the JSON value `value` says, called `name` in errors. Raises Malformed for any other."""
        return cls._of(canonical.dumps(value), name)

    @classmethod
    def _of(cls, data: bytes, name: str) -> Self:
        try:
            return cls.model_validate_json(data, by_alias=True, by_name=False)
        except ValidationError as problem:
            raise _malformed(problem, name, REMAKE.format(name)) from problem

    @classmethod
    def read(cls, path: Path, *, max_bytes: int = canonical.MAX_BYTES) -> Self:
        """The record in the file at `path`. Raises Malformed for any other file, InputError where it cannot be read."""
        return cls.from_bytes(read_bytes(path, max_bytes), name=path.name, max_bytes=max_bytes)
