"""What a person says of a model in the `release` section of its project, read again from the release itself.

The file stands in the release, and is signed with it. Whoever reads it trusts none of it.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, StringConstraints

from registry import canonical
from registry.openness.eu import Eu
from registry.records import layout, project
from registry.records.record import ParamsSection, validated

Heading = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""What people call a model."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$|^code$")]
"""An ISO 639 code, or `code`."""
Prose = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
"""Markdown that a person wrote."""


class NamedSigner(ParamsSection):
    """Who signs the releases, as `glasshouse verify` is told."""

    identity: Annotated[str, StringConstraints(min_length=3, max_length=300, pattern=r"^[^\s\x00-\x1f`'\"]+$")]
    """An e-mail address, or the URI of a workflow."""
    issuer: Annotated[str, StringConstraints(max_length=308, pattern=r"^https://[^\s`'\"]+$")]
    """Who vouches for the identity."""


class Rai(ParamsSection):
    """What a person says of the training data, as Croissant's vocabulary for responsible AI asks."""

    collection: Prose | None = None
    """How the data was collected."""
    use_cases: tuple[Prose, ...] = ()
    """What the data is meant to be used for."""
    limitations: tuple[Prose, ...] = ()
    """What it should not be used for, and what it lacks."""
    biases: tuple[Prose, ...] = ()
    """Biases that are known."""
    personal_information: tuple[Prose, ...] = ()
    """Which personal or sensitive information it holds."""
    social_impact: Prose | None = None
    """What its use may do to people."""
    maintenance: Prose | None = None
    """How it is kept up."""


class Told(ParamsSection):
    """What a `release` section says that documents repeat; what else it says is passed over."""

    model_config = ConfigDict(extra="ignore")

    title: Heading | None = None
    """What people call the model."""
    languages: tuple[Language, ...] = ()
    """Its languages."""
    intended_use: Prose | None = None
    """What it is for."""
    limits: Prose | None = None
    """What it is not for, and where it fails."""
    signer: NamedSigner | None = None
    """Who signs it."""
    rai: Rai | None = None
    """What is said of the training data."""
    eu: Eu | None = None
    """What the provider says for the summary that the EU asks for."""

    @classmethod
    def of_release(cls, root: Path, repo: str) -> Self:
        """What the release of `repo` at `root` was told; of a project with several models, by the section of that one.

        Raises Malformed for a section that no project can have.
        """
        file, section = project.release_section(root / layout.PROVENANCE)
        sections = project.several(section).values()
        chosen = next((row for row in sections if isinstance(row, dict) and row.get("repo") == repo), {})
        with validated(file, under="release.", mend=f"mend those lines of {file}"):
            return cls.model_validate_json(canonical.dumps(chosen))
