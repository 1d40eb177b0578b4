"""The `release` section of params.yaml: what a DVC project says of its releases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, field_validator

from registry import strict_yaml
from registry.errors import InputError
from registry.manifest import check_path
from registry.openness.model_card import About

PARAMS = "params.yaml"

ProjectPath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""A POSIX path below the project's root."""


class ReleaseConfig(BaseModel):
    """What is released, from where, and what only a person can say of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")]
    """Where it is published on the Hub: namespace/name."""
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The heading of the model card."""
    license: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """SPDX expression for the weights."""
    languages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$|^code$")], ...]
    """ISO 639 codes, or `code`."""
    model: ProjectPath
    """The directory that `from_pretrained` loads; its files stand at the root of the release."""
    provenance: tuple[ProjectPath, ...]
    """Files that stand under `provenance/`, each by the last part of its path."""
    output: ProjectPath = "build/release"
    """Where the draft is written: an output of a stage of dvc.yaml."""
    intended_use: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    """Markdown for the card: what the model is for."""
    limits: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    """Markdown for the card: what it is not for, and where it fails."""

    @field_validator("model", "output", "provenance")
    @classmethod
    def _stays_inside(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for path in (value,) if isinstance(value, str) else value:
            try:
                check_path(path)
            except InputError as problem:
                raise ValueError(problem.message) from problem
        return value

    @property
    def name(self) -> str:
        """The model's name, without its namespace."""
        return self.repo.split("/")[1]

    @property
    def about(self) -> About:
        """What the model card is told."""
        return About(
            repo=self.repo,
            title=self.title,
            license=self.license,
            languages=self.languages,
            model=self.model,
            intended_use=self.intended_use,
            limits=self.limits,
        )


def load(root: Path) -> ReleaseConfig:
    """The `release` section of params.yaml at `root`. Raises InputError that names each field that is amiss."""
    document = strict_yaml.read(root / PARAMS)
    section = document.get("release") if isinstance(document, dict) else None
    if section is None:
        raise InputError(
            f"{PARAMS} has no `release` section",
            mend="add one; docs/reference/params.md lists its fields",
        )
    try:
        return ReleaseConfig.model_validate(section)
    except ValidationError as problem:
        amiss = "; ".join(f"release.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors()[:5])
        raise InputError(f"{PARAMS}: {amiss}", mend=f"mend those lines of {PARAMS}") from problem


VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


def parse_version(text: str) -> tuple[int, int, int]:
    """(major, minor, patch) of `1.2.3` or `v1.2.3`. Raises InputError for anything else."""
    match = VERSION.fullmatch(text.removeprefix("v"))
    if match is None:
        raise InputError(f"the version {text[:40]!r} is not of the form 1.2.3", mend="for example: --version 1.0.0")
    return int(match[1]), int(match[2]), int(match[3])
