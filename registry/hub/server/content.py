"""The route of file contents: /{repo}/resolve/{revision}/{path}, for HEAD, GET and ranges."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from registry.hub.server import git, names
from registry.hub.server.git import Row
from registry.hub.server.problems import ENTRY_NOT_FOUND, Problem
from registry.hub.server.repository import Repository
from registry.hub.server.state import hub, repository

_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")


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
    }
    etag = f'"{row.sha256 or row.oid}"'
    if etag in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers | {"ETag": etag})
    if row.sha256 is not None:
        return _large(request, repo, row, headers)
    return _regular(request, data, headers | {"ETag": f'"{row.oid}"'})


def _large(request: Request, repo: Repository, row: Row, headers: dict[str, str]) -> Response:
    sha256 = row.sha256 or ""
    blobs = hub(request).blobs
    if sha256 not in repo.contents.read() or blobs.size(sha256) is None:
        raise Problem(404, f"the content of {row.path} is lost", ENTRY_NOT_FOUND)
    headers |= {"ETag": f'"{sha256}"', "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(row.size)}
    return FileResponse(blobs.path(sha256), media_type="application/octet-stream", headers=headers)


def _regular(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    headers["Accept-Ranges"] = "bytes"
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.method == "HEAD":
        return Response(data, media_type="text/plain; charset=utf-8", headers=headers)
    first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, "text/plain; charset=utf-8")
