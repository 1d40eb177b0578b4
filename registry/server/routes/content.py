"""The routes of file contents: /{repo}/resolve/{revision}/{path} and /raw/, for HEAD, GET and ranges."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from registry.records import layout
from registry.records.kinds import ADAPTER, CONFIG, PIPELINE
from registry.server import names
from registry.server.routes import serving
from registry.server.routes.asking import hub, opened
from registry.server.routes.declared import BYTES
from registry.server.store.large_files import Content, in_git
from registry.server.store.repository import Repository

COUNTED = {"models": (CONFIG, ADAPTER, PIPELINE), "datasets": (layout.CARD,)}
"""Which files a download is told by, as loaders read one of them first; so is a clone."""


def resolve(request: Request) -> Response:
    """One file at one revision. X-Repo-Commit and an ETag name exactly what it is.

    The ETag is the SHA-256 of a large file, git's SHA-1 of any other. What is served can run no script in a browser.
    """
    repo, commit, path = _place(request)
    content = hub(request).large_of(repo).content(repo, commit, path)
    if request.method == "GET" and path in COUNTED[repo.name.kind]:
        repo.downloaded()
    return _answer(request, commit, path, content)


def raw(request: Request) -> Response:
    """One file as it stands in git: the pointer of a large one."""
    repo, commit, path = _place(request)
    return _answer(request, commit, path, in_git(repo, commit, path))


def _place(request: Request) -> tuple[Repository, str, str]:
    """(the repository, the commit, the path) that the address names."""
    repo = opened(request)
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    return repo, commit, names.file_path(request.path_params["path"])


def _answer(request: Request, commit: str, path: str, content: Content) -> Response:
    headers = {
        "X-Repo-Commit": commit,
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1], safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if content.large:
        headers |= {"X-Linked-Etag": serving.etag(content), "X-Linked-Size": str(content.size)}
    media_type = BYTES if content.large else "text/plain; charset=utf-8"
    return serving.file(request, content, headers, media_type)
