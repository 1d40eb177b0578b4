"""Routes of the account, and those that change a repository: create, preupload, commit, branch, tag."""

from __future__ import annotations

import base64
import binascii
import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry import strict_yaml
from registry.errors import InputError
from registry.hub.server import bodies, commits, git, names
from registry.hub.server.problems import Problem
from registry.hub.server.repository import BRANCHES, Repository
from registry.hub.server.state import base_url, hub, repository, writable, writer

LARGE_SUFFIXES = (
    ".7z", ".arrow", ".bin", ".gguf", ".gz", ".h5", ".model", ".msgpack", ".npy", ".npz", ".onnx", ".parquet", ".pt",
    ".pth", ".safetensors", ".sqlite", ".tar", ".zip", ".zst",
)  # fmt: skip
GIT_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_SUFFIXES).encode()
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\s*?(?:\n|\Z)", re.DOTALL)


async def whoami(request: Request) -> JSONResponse:
    """GET /api/whoami-v2."""
    user = writer(request)
    return JSONResponse(
        {
            "type": "user",
            "id": user.name,
            "name": user.name,
            "fullname": user.name,
            "isPro": False,
            "orgs": [{"type": "org", "name": name, "roleInOrg": "write"} for name in user.organizations],
            "auth": {"type": "access_token", "accessToken": {"displayName": user.name, "role": "write"}},
        }
    )


async def validate_yaml(request: Request) -> JSONResponse:
    """POST /api/validate-yaml: whether the metadata of a README.md is plain YAML. 400 names what is wrong."""
    body = await bodies.read(request, bodies.ValidateYaml)
    found = _FRONT_MATTER.match(body.content)
    errors: list[dict[str, str]] = []
    if found is not None:
        try:
            metadata = strict_yaml.parse(found[1].encode(), name="the metadata of README.md")
            if not isinstance(metadata, dict):
                errors.append({"message": "the metadata of README.md is no map"})
        except InputError as problem:
            errors.append({"message": problem.message})
    return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)


async def create(request: Request) -> JSONResponse:
    """POST /api/repos/create. 409, with the URL, where it exists."""
    user = writer(request)
    body = await bodies.read(request, bodies.Create)
    name = names.new_repo_name(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    if not user.may_write(name.owner):
        raise Problem(403, f"the token of {user.name} may not create repositories of {name.owner}")
    answer: dict[str, object] = {"url": f"{base_url(request)}/{name.url_path}", "name": str(name)}
    files = {".gitattributes": GIT_ATTRIBUTES}
    if not await run_in_threadpool(Repository.create, hub(request).repositories, name, user, files):
        raise Problem(409, "You already created this repo", extra=answer)
    return JSONResponse(answer)


async def preupload(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/preupload/{revision}: which files go to the blob store, and what stands there now."""
    repo, _ = writable(request)
    body = await bodies.read(request, bodies.Preupload)
    return await run_in_threadpool(_preupload, request, repo, body)


async def commit(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/commit/{branch}: one commit; 412 where another was faster."""
    repo, user = writable(request)
    if request.query_params.get("create_pr", "").lower() in ("1", "true"):
        raise Problem(400, "this server takes no pull requests")
    branch = names.revision(request.path_params["revision"].removeprefix(BRANCHES))
    with hub(request).blobs.upload(commits.MAX_BODY) as upload:
        await bodies.spool(request, upload)
        upload.close()
        asked = await run_in_threadpool(commits.read, upload.path, repo.folder, hub(request).blobs)
    oid = await run_in_threadpool(repo.commit, branch, asked.parent, asked.changes, user, asked.message)
    url = f"{base_url(request)}/{repo.name.url_path}/commit/{oid}"
    return JSONResponse({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


async def branch(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/branch/{name}: a new branch. 409 where the name is taken."""
    repo, _ = writable(request)
    body = await bodies.read(request, bodies.Branch)
    name = names.new_ref(request.path_params["revision"])
    start = names.revision(body.start or "main")
    await run_in_threadpool(lambda: repo.branch(name, repo.resolve(start)))
    return JSONResponse({})


def delete_branch(request: Request) -> JSONResponse:
    """DELETE /api/{kind}/{repo}/branch/{name}; never main."""
    repo, _ = writable(request)
    repo.delete_branch(names.revision(request.path_params["revision"]))
    return JSONResponse({})


async def tag(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/tag/{revision}: a new tag. 409 where the name is taken."""
    repo, user = writable(request)
    body = await bodies.read(request, bodies.Tag)
    name, revision = names.new_ref(body.tag), names.revision(request.path_params["revision"])
    await run_in_threadpool(lambda: repo.tag(name, repo.resolve(revision), body.message or "", user))
    return JSONResponse({})


def delete_tag(request: Request) -> JSONResponse:
    """DELETE /api/{kind}/{repo}/tag/{name}: declined, for a tag is for ever."""
    writable(request)
    raise Problem(403, "tags of this server do not move and are not deleted")


def delete_repository(request: Request) -> JSONResponse:
    """DELETE /api/repos/delete: declined, for what was released stays readable."""
    writer(request)
    raise Problem(403, "repositories of this server are not deleted over the network")


def auth_check(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/auth-check[/write]."""
    repository(request)
    if request.url.path.endswith("/write"):
        writable(request)
    return JSONResponse({})


def _preupload(request: Request, repo: Repository, body: bodies.Preupload) -> JSONResponse:
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    paths = [names.file_path(file.path) for file in body.files]
    here = {row.path: row for row in git.tree(repo.folder, commit, paths)} if paths else {}
    answer = []
    for file in body.files:
        large = _is_large(file)
        row = here.get(file.path)
        same_store = row is not None and (row.sha256 is not None) == large
        answer.append(
            {
                "path": file.path,
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": (row.sha256 or row.oid) if row is not None and same_store else None,
            }
        )
    return JSONResponse({"files": answer})


def _is_large(file: bodies.UploadQuestion) -> bool:
    try:
        sample = base64.b64decode(file.sample, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise Problem(400, f"the sample of {file.path[:200]!r} is not base64") from problem
    binary = b"\0" in sample
    return file.size > 0 and (binary or file.size > commits.MAX_REGULAR or file.path.lower().endswith(LARGE_SUFFIXES))
