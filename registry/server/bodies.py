"""Reading requests: every body has a bound, a deadline for its next bytes, and a shape.

Fields that are not named here are passed over: the clients add some with each version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from registry import canonical
from registry.digest import CHUNK
from registry.server.problems import Problem
from registry.server.routes.declared import check_body
from registry.server.state import hub
from registry.server.store.uploads import Upload

MAX_JSON = 8 << 20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=1 << 50, strict=True)]
Text = Annotated[str, Field(max_length=65_536, pattern=r"^[^\x00]*$")]
PathText = Annotated[str, Field(min_length=1, max_length=2048)]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(frozen=True)


class Create(Body):
    """POST /api/repos/create."""

    name: Text
    organization: Text | None = None
    type: Literal["model", "dataset"] | None = None
    private: bool = False
    visibility: Literal["public", "private"] | None = None

    @property
    def is_private(self) -> bool:
        """Whether only its owners may read it."""
        return self.private if self.visibility is None else self.visibility == "private"


class Exchange(Body):
    """POST /oauth/token."""

    grant: Annotated[Literal["urn:ietf:params:oauth:grant-type:token-exchange"], Field(alias="grant_type")]
    kind: Annotated[Literal["urn:ietf:params:oauth:token-type:id_token"], Field(alias="subject_token_type")]
    subject_token: Annotated[str, Field(max_length=16_384)]
    resource: Text


class Delete(Body):
    """DELETE /api/repos/delete."""

    name: Text
    organization: Text | None = None
    type: Literal["model", "dataset"] | None = None


class Settings(Body):
    """PUT /api/{kind}/{repo}/settings."""

    visibility: Literal["public", "private"]


class Discussion(Body):
    """POST /api/{kind}/{repo}/discussions."""

    title: Annotated[Text, Field(min_length=1)]
    description: Text = ""
    pull_request: Annotated[bool, Field(alias="pullRequest")] = False


class Status(Body):
    """POST /api/{kind}/{repo}/discussions/{number}/status."""

    status: Literal["open", "closed"]


class ValidateYaml(Body):
    """POST /api/validate-yaml. content: a README.md with its metadata block."""

    content: Text = ""


class UploadQuestion(Body):
    """One file of a preupload. sample: base64 of its first 512 bytes."""

    path: PathText
    size: Size
    sample: Annotated[str, Field(max_length=1024)] = ""


class Preupload(Body):
    """POST /api/{kind}/{repo}/preupload/{revision}."""

    files: Annotated[list[UploadQuestion], Field(max_length=256)]


class PathsInfo(Body):
    """POST /api/{kind}/{repo}/paths-info/{revision}."""

    paths: Annotated[list[PathText], Field(max_length=1000)]
    expand: bool = False


class Branch(Body):
    """POST /api/{kind}/{repo}/branch/{name}."""

    start: Annotated[Text | None, Field(alias="startingPoint")] = None


class Tag(Body):
    """POST /api/{kind}/{repo}/tag/{revision}."""

    tag: Text
    message: Text | None = None


class LargeObject(Body):
    """An object of the LFS batch. Source: git-lfs, docs/api/batch.md."""

    oid: Sha256
    size: Size


class Batch(Body):
    """POST {repo}.git/info/lfs/objects/batch."""

    operation: Literal["upload", "download"]
    transfers: list[Text] = []
    objects: Annotated[list[LargeObject], Field(max_length=1000)]
    hash_algo: Literal["sha256"] = "sha256"


Model = TypeVar("Model", bound=Body)


async def read(request: Request, model: type[Model]) -> Model:
    """The JSON body, as `model`. Raises Problem 413, InputError for no strict JSON, ValidationError for others."""
    check_body(request, model)
    data = await read_bytes(request, MAX_JSON)
    return model.model_validate(canonical.parse(data, name="the body", max_depth=16) if data else {})


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem 413 beyond `limit` bytes."""
    data = bytearray()
    async for chunk in chunks(request):
        data += chunk
        if len(data) > limit:
            raise Problem(413, f"a body of more than {limit} bytes")
    return bytes(data)


async def spool(request: Request, upload: Upload) -> None:
    """Write the body to `upload`, a chunk of CHUNK bytes at a time, outside the event loop."""
    waiting = bytearray()
    async for chunk in chunks(request):
        waiting += chunk
        if len(waiting) >= CHUNK:
            await run_in_threadpool(upload.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(upload.write, bytes(waiting))


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem 408 where the client falls silent for longer than the limits allow."""
    stream, patience = aiter(request.stream()), hub(request).limits.idle_seconds
    while True:
        try:
            async with asyncio.timeout(patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as problem:
            raise Problem(408, f"no byte for {patience} s") from problem
        yield chunk
