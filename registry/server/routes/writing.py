"""Routes of the account, and those that change a repository: create, preupload, commit, branch, tag."""

from __future__ import annotations

import base64
import binascii
import re
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry import strict_yaml
from registry.errors import InputError
from registry.server import bodies, names
from registry.server.access import publishers
from registry.server.access.tokens import Role, User
from registry.server.problems import Problem
from registry.server.routes import proposing
from registry.server.routes.declared import LINES, check_body, query, takes
from registry.server.state import base_url, hub, member, proposable, readable, repository, spending, writable
from registry.server.store import commits, git, pulls
from registry.server.store.repository import BRANCHES, Repository

LARGE_SUFFIXES = (
    ".7z", ".arrow", ".bin", ".gguf", ".gz", ".h5", ".model", ".msgpack", ".npy", ".npz", ".onnx", ".parquet", ".pt",
    ".pth", ".safetensors", ".sqlite", ".tar", ".zip", ".zst",
)  # fmt: skip
MAX_PROPOSAL = 16 << 20
"""Bytes of a commit that somebody without writing rights may propose."""
GIT_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_SUFFIXES).encode()
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\s*?(?:\n|\Z)", re.DOTALL)


async def whoami(request: Request) -> JSONResponse:
    """GET /api/whoami-v2."""
    user = member(request)
    may = "read" if user.role is Role.READ else "write"
    return JSONResponse(
        {
            "type": "user",
            "id": user.name,
            "name": user.name,
            "fullname": user.name,
            "isPro": False,
            "orgs": [{"type": "org", "name": name, "roleInOrg": may} for name in user.namespaces],
            "auth": {"type": "access_token", "accessToken": {"displayName": user.name, "role": may}},
        }
    )


@takes(bodies.Exchange)
async def exchange(request: Request) -> JSONResponse:
    """POST /oauth/token: a token for the identity token of a workflow that is trusted with a repository."""
    body = await bodies.read(request, bodies.Exchange)
    here = hub(request)
    token, seconds = await run_in_threadpool(
        publishers.exchange, here.root, here.tokens, body.subject_token, body.resource
    )
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return JSONResponse(
        {"access_token": token, "token_type": "bearer", "expires_in": seconds, "issued_token_type": kind},
        headers={"Cache-Control": "no-store"},
    )


@takes(bodies.ValidateYaml)
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


@takes(bodies.Create)
async def create(request: Request) -> JSONResponse:
    """POST /api/repos/create. 409, with the URL, where it exists."""
    user = member(request)
    body = await bodies.read(request, bodies.Create)
    name = names.new_repo_name(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    if not user.may_write(name):
        raise Problem(403, f"the token of {user.name} may not create repositories of {name.owner}")
    answer: dict[str, object] = {"url": f"{base_url(request)}/{name.url_path}", "name": str(name)}
    files = {".gitattributes": GIT_ATTRIBUTES}
    new = partial(Repository.create, hub(request).repositories, name, user, files, private=body.is_private)
    if not await run_in_threadpool(new):
        raise Problem(409, "You already created this repo", extra=answer)
    return JSONResponse(answer)


@takes(bodies.Preupload, query={"create_pr": {"enum": [1]}})
async def preupload(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/preupload/{revision}: which files go to the blob store, and what stands there now."""
    repo, _ = proposable(request) if _proposes(request) else writable(request)
    body = await bodies.read(request, bodies.Preupload)
    return await run_in_threadpool(_preupload, request, repo, body)


@takes(commits.LINE, media=(LINES,), query={"create_pr": {"enum": [1]}})
async def commit(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/commit/{branch}[?create_pr=1]: one commit; 412 where another was faster.

    With `create_pr` it is a pull request to that branch, and reading rights are enough, for less.
    """
    proposes = _proposes(request)
    revision = names.revision(request.path_params["revision"].removeprefix(BRANCHES))
    repo, user = proposable(request) if proposes or revision.startswith(pulls.PULLS) else writable(request)
    own = user.may_write(repo.name)
    check_body(request, commits.LINE)
    with hub(request).uploads.one(commits.MAX_BODY if own else MAX_PROPOSAL) as upload:
        await bodies.spool(request, upload)
        upload.close()
        asked = await run_in_threadpool(commits.read, upload.path, repo)
    return await run_in_threadpool(_commit, request, repo, user, revision, asked)


def _commit(request: Request, repo: Repository, user: User, revision: str, asked: commits.Asked) -> JSONResponse:
    with spending(request, repo, asked.size):
        more, oid = _made(request, repo, user, revision, asked)
        with repo.lock():
            repo.contents.append({oid: asked.size})
    url = f"{base_url(request)}/{repo.name.url_path}/commit/{oid}"
    return JSONResponse({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": "", **more})


def _made(
    request: Request, repo: Repository, user: User, revision: str, asked: commits.Asked
) -> tuple[dict[str, str], str]:
    """Make the commit that is asked for, upon a branch, a pull request, or as a new one: (more to answer, its id)."""
    more = {}
    if _proposes(request):
        summary, words = asked.summary, asked.description
        pull, oid = pulls.propose(repo, user, revision, asked.parent, asked.changes, summary, words)
        more["pullRequestUrl"] = proposing.url(request, repo, pull)
    elif revision.startswith(pulls.PULLS):
        number = revision.removeprefix(pulls.PULLS)
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            raise Problem(404, f"there is no pull request {number[:20]}")
        oid = pulls.add(repo, user, int(number), asked.parent, asked.changes, asked.message)
    else:
        oid = repo.commit(revision, asked.parent, asked.changes, user, asked.message)
    return more, oid


def _proposes(request: Request) -> bool:
    return (query(request, "create_pr") or "").lower() in ("1", "true")


@takes(bodies.Branch)
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


@takes(bodies.Tag)
async def tag(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/tag/{revision}: a new tag. 409 where the name is taken."""
    repo, user = writable(request)
    body = await bodies.read(request, bodies.Tag)
    name, revision = names.new_ref(body.tag), names.revision(request.path_params["revision"])
    await run_in_threadpool(lambda: repo.tag(name, repo.resolve(revision), body.message or "", user))
    return JSONResponse({})


def delete_tag(request: Request) -> JSONResponse:
    """DELETE /api/{kind}/{repo}/tag/{name}: declined for a tag that carries a release."""
    repo, _ = writable(request)
    repo.delete_tag(names.revision(request.path_params["revision"]))
    return JSONResponse({})


@takes(bodies.Delete)
async def delete_repository(request: Request) -> JSONResponse:
    """DELETE /api/repos/delete: for an admin. A tombstone keeps its name."""
    user = member(request)
    body = await bodies.read(request, bodies.Delete)
    name = names.RepoName(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    repo = await run_in_threadpool(readable, request, name)
    if user.role is not Role.ADMIN:
        raise Problem(403, "deleting what others may rely on needs the token of an admin")
    await run_in_threadpool(repo.delete, hub(request).repositories, user)
    return JSONResponse({})


@takes(bodies.Settings)
async def settings(request: Request) -> JSONResponse:
    """PUT /api/{kind}/{repo}/settings: private or public."""
    repo, _ = writable(request)
    body = await bodies.read(request, bodies.Settings)
    await run_in_threadpool(repo.set_private, body.visibility == "private")
    return JSONResponse({"private": body.visibility == "private"})


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
