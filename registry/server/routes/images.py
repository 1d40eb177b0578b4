"""Routes by which Ollama and llama.cpp pull GGUF files: `ollama pull HOST/OWNER/NAME:Q4_K_M`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.digest import is_sha256, sha256_bytes
from registry.server import names
from registry.server.problems import ENTRY_NOT_FOUND, Problem
from registry.server.routes import serving
from registry.server.routes.asking import hub, opened
from registry.server.routes.declared import BYTES
from registry.server.store import gguf_images
from registry.server.store.large_files import Content

_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


def manifest(request: Request) -> Response:
    """GET /v2/{owner}/{name}/manifests/{tag}: which GGUF file of main `tag` stands for, by how its name ends."""
    repo = opened(request)
    large = hub(request).large_of(repo)
    found = gguf_images.image(repo, repo.resolve(names.MAIN), request.path_params["tag"], large)
    answer = JSONResponse(found.manifest(), media_type=gguf_images.MANIFEST, headers=_VERSION)
    answer.headers["Docker-Content-Digest"] = f"sha256:{sha256_bytes(bytes(answer.body))}"
    return answer


def blob(request: Request) -> Response:
    """GET /v2/{owner}/{name}/blobs/{digest}: the file, or its configuration; ranges are answered."""
    repo, digest = opened(request), request.path_params["digest"]
    sha256, large = digest.removeprefix("sha256:"), hub(request).large_of(repo)
    if not digest.startswith("sha256:") or not is_sha256(sha256):
        raise Problem(404, f"{digest[:100]!r} is not a digest", ENTRY_NOT_FOUND)
    if large.here(repo, [sha256]):
        return serving.file(request, large.blob(repo, sha256), _VERSION, BYTES)
    config = gguf_images.config_of(repo, repo.resolve(names.MAIN), sha256, large)
    content = Content(sha256, len(config), lambda start, end: iter((config[start:end],)), large=False)
    return serving.file(request, content, _VERSION, BYTES)


def version(request: Request) -> JSONResponse:
    """GET /v2/: that this is a registry."""
    return JSONResponse({}, headers=_VERSION)
