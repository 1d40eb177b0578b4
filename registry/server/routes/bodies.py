"""The bodies that the routes take, but for a commit's: `store/commits.py` has that one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from registry.records.record import Sha256
from registry.server.shapes import Body, LongText, PathText, Size, Text


class WholeBody(Body):
    """A body of which nothing is passed over: what it asks for and this server does not offer is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, value: Any) -> Any:
        """Clients write null for what nobody asked for."""
        return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


class CreateRepository(WholeBody):
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


class MoveRepository(WholeBody):
    """POST /api/repos/move. Both are owner/name."""

    source: Annotated[Text, Field(alias="fromRepo")]
    target: Annotated[Text, Field(alias="toRepo")]
    type: Literal["model", "dataset"] | None = None


class DuplicateRepository(WholeBody):
    """POST /api/{kind}/{repo}/duplicate. repository: owner/name of the new one, which is as open as this one."""

    repository: Text
    visibility: Literal["public", "private"] | None = None
    private: bool | None = None


class Squash(Body):
    """POST /api/{kind}/{repo}/super-squash/{branch}."""

    message: Annotated[LongText, Field(min_length=1)] = "Squash the history"


class Deletions(Body):
    """What to delete of the large files. rewrite: whether it is taken out of the commits that name it."""

    sha: Annotated[list[Sha256], Field(max_length=1000)]
    rewrite: Annotated[bool, Field(alias="rewriteHistory")] = False


class DeleteLargeFiles(Body):
    """POST /api/{kind}/{repo}/lfs-files/batch."""

    deletions: Deletions


class DeleteRepository(Body):
    """DELETE /api/repos/delete."""

    name: Text
    organization: Text | None = None
    type: Literal["model", "dataset"] | None = None


class Settings(WholeBody):
    """PUT /api/{kind}/{repo}/settings. private: how older clients say `visibility`."""

    visibility: Literal["public", "private"] | None = None
    private: bool | None = None
    gated: Literal[False, "auto", "manual"] | None = None


class DecideAccess(WholeBody):
    """POST /api/{kind}/{repo}/user-access-request/handle: of a user, or of a request by its id."""

    user: Text | None = None
    request_id: Annotated[Text | None, Field(alias="requestId")] = None
    status: Literal["pending", "accepted", "rejected"]
    reason: Annotated[Text, Field(alias="rejectionReason")] = ""


class GrantAccess(WholeBody):
    """POST /api/{kind}/{repo}/user-access-request/grant."""

    user: Text


class CreateDiscussion(Body):
    """POST /api/{kind}/{repo}/discussions."""

    title: Annotated[Text, Field(min_length=1)]
    description: Text = ""
    pull_request: Annotated[bool, Field(alias="pullRequest")] = False


class SetStatus(Body):
    """POST /api/{kind}/{repo}/discussions/{number}/status."""

    status: Literal["open", "closed"]


class Merge(WholeBody):
    """POST /api/{kind}/{repo}/discussions/{number}/merge."""

    comment: LongText = ""


class ValidateYaml(Body):
    """POST /api/validate-yaml. content: a README.md with its metadata block."""

    content: str = ""
    kind: Annotated[Text, Field(alias="repoType")] = "model"


class UploadQuestion(Body):
    """One file of a preupload. sample: base64 of its first 512 bytes."""

    path: PathText
    size: Size
    sample: Annotated[str, Field(max_length=1024)] = ""


class Preupload(Body):
    """POST /api/{kind}/{repo}/preupload/{revision}."""

    files: Annotated[list[UploadQuestion], Field(max_length=256)]
    ignore: Annotated[LongText | None, Field(alias="gitIgnore")] = None
    """The `.gitignore` that is about to be sent; None for the one that is here."""


class Target(Body):
    """A repository that takes copies of large files. name: owner/name."""

    type: Literal["model", "dataset"] = "model"
    name: Text


class CopiedFile(Body):
    """A large file of another repository. xet: its name in Xet, which is its SHA-256 here."""

    sha256: Sha256
    xet: Annotated[Sha256, Field(alias="xetHash")]


class CopyLargeFiles(Body):
    """POST /api/{kind}/{repo}/lfs-files/duplicate."""

    target: Target
    files: Annotated[list[CopiedFile], Field(max_length=1000)]


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
    transfers: tuple[Text, ...] = ()
    objects: Annotated[list[LargeObject], Field(max_length=1000)]
    hash_algo: Literal["sha256", "sha_256"] = "sha256"
