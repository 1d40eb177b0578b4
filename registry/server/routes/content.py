"""The route of file contents: /{repo}/resolve/{revision}/{path}, for HEAD, GET and ranges."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from registry.server import names
from registry.server.problems import ENTRY_NOT_FOUND, Problem
from registry.server.routes import serving
from registry.server.state import hub, repository
from registry.server.store import git
from registry.server.store.git import Row
from registry.server.store.repository import Repository


def resolve(request: Request) -> Response:
    """One file at one revision. X-Repo-Commit and an ETag name exactly what it is.

    The ETag is the SHA-256 of a large file, git's SHA-1 of any other. What is served can run no script in a browser.
    """
    repo = repository(request)
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    path = names.file_path(request.path_params["path"])
    found = git.read_file(repo.folder, commit, path)
    if found is None:
        raise Problem(404, f"{path} is not at {commit}", ENTRY_NOT_FOUND)
    row, data = found
    headers = {
        "X-Repo-Commit": commit,
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1], safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{row.sha256 or row.oid}"',
    }
    if row.sha256 is not None:
        return _large(request, repo, row, headers)
    return serving.file(
        request, lambda start, end: iter((data[start:end],)), len(data), headers, "text/plain; charset=utf-8"
    )


def _large(request: Request, repo: Repository, row: Row, headers: dict[str, str]) -> Response:
    sha256 = row.sha256 or ""
    blobs = hub(request).blobs
    size = blobs.size(sha256) if sha256 in repo.contents.read() else None
    if size is None:
        raise Problem(404, f"the content of {row.path} is lost", ENTRY_NOT_FOUND)
    headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(size)}
    return serving.file(request, partial(blobs.read, sha256), size, headers, "application/octet-stream")
