"""What every record has in common: strict fields, camelCase in JSON, canonical bytes.

Law: `T.from_bytes(t.to_bytes()) == t`, and equal records have equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from registry import canonical
from registry.errors import InputError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=canonical.MAX_SAFE_INTEGER)]
"""A number of things, or of bytes."""


class Record(BaseModel):
    """A JSON object with these keys, no more and no fewer, that cannot be changed."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
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
        """The record that the hostile bytes `data` hold, called `name` in errors. Raises InputError for any others."""
        return cls.from_json(canonical.parse(data, name=name, max_bytes=max_bytes), name=name)

    @classmethod
    def from_json(cls, value: Any, *, name: str) -> Self:
        """The record that the JSON value `value` says, called `name` in errors. Raises InputError for any other."""
        try:
            return cls.model_validate_json(canonical.dumps(value), by_alias=True, by_name=False)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise InputError(
                f"{name}: {where}: {first['msg']}", mend=f"write {name} anew with the stage that makes it: dvc repro"
            ) from problem

    @classmethod
    def read(cls, path: Path, *, max_bytes: int = canonical.MAX_BYTES) -> Self:
        """The record in the file at `path`. Raises InputError, also when the file is missing."""
        return cls.from_json(canonical.read(path, max_bytes=max_bytes), name=path.name)
