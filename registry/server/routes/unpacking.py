"""Routes of reading by Xet: what a file is put together from, and the bytes of that.

A reader needs a token of `xet_tokens.read_token`, and gets what the repository has a right to, as by LFS.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.server.problems import Problem
from registry.server.routes import serving
from registry.server.routes.asking import base_url, claimed, hub
from registry.server.routes.declared import BYTES, takes
from registry.server.routes.xet_tokens import READ, claims_of
from registry.server.store import unpacked
from registry.server.store.large_files import Content
from registry.server.store.repository import Repository
from registry.server.store.xorbs import check_hash

FETCH = "xet-fetch"


def reconstruction(request: Request) -> JSONResponse:
    """GET /xet/v1/reconstructions/{file}: of which chunks the file, or the range that is asked for, is made."""
    claims = claims_of(request, READ)
    sha256 = check_hash(request.path_params["hash"])
    file = _file(request, claimed(request, claims), sha256)
    start, end = serving.asked_range(request, file.size, "") or (0, file.size)
    found = unpacked.runs(file.size, start, end)
    terms, fetch = [], {}
    for run in found:
        name, chunks = unpacked.name_of(sha256, run.number), {"start": run.start, "end": run.end}
        whose = {key: claims[key] for key in ("repo", "token")}
        query = hub(request).links.query(action=FETCH, **whose, oid=sha256, number=str(run.number))
        first, last = run.place
        url, place = f"{base_url(request)}/xet/v1/fetch?{query}", {"start": first, "end": last}
        terms.append({"hash": name, "unpacked_length": run.size, "range": chunks})
        fetch[name] = [{"range": chunks, "url": url, "url_range": place}]
    offset = start % unpacked.CHUNK if found else 0
    return JSONResponse({"offset_into_first_range": offset, "terms": terms, "fetch_info": fetch})


@takes(
    query={name: {"type": "string"} for name in ("action", "repo", "token", "expires", "signature", "oid", "number")}
)
def fetch(request: Request) -> Response:
    """GET /xet/v1/fetch?…: bytes of a xorb, by a signed link."""
    claims = hub(request).links.claims(request.query_params, FETCH)
    file = _file(request, claimed(request, claims), claims["oid"])
    return serving.file(request, unpacked.xorb(file, int(claims["number"])), {}, BYTES)


def _file(request: Request, repo: Repository, sha256: str) -> Content:
    """A large file of that repository. Raises Problem 404 where it has no right to it."""
    large = hub(request).large
    if sha256 not in large.here(repo, [sha256]):
        raise Problem(404, f"the object {sha256} is not here")
    return large.blob(repo, sha256)
