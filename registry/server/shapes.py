"""What the bodies of requests are made of.

Fields that no body names are passed over: the clients add some with each version.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[int, Field(ge=0, le=1 << 50, strict=True)]
"""Bytes of a file."""
Text = Annotated[str, Field(max_length=65_536, pattern=r"^[^\x00]*$")]
LongText = Annotated[str, Field(max_length=1 << 20, pattern=r"^[^\x00]*$")]
"""Prose: a card, what a commit says of itself."""
PathText = Annotated[str, Field(min_length=1, max_length=2048)]
"""What may be a path; `names.file_path` says whether it is."""


class Body(BaseModel):
    """A request's body, or a line of it."""

    model_config = ConfigDict(frozen=True)
