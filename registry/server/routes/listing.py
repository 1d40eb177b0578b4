"""The route that lists repositories: searched, filtered, sorted, a page at a time."""

from __future__ import annotations

import re
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server.problems import Problem
from registry.server.routes import paging, summaries
from registry.server.routes.asking import base_url, hub, user
from registry.server.routes.declared import query, refuse_unknown, takes
from registry.server.routes.paging import FLAG, NUMBER, PAGE, TEXT
from registry.server.store import objects
from registry.server.store.index import Listed, Order, Wanted

PAGE_FULL = 100
"""Repositories in one answer that names their files."""
MAX_ASKED = 50
"""Words and tags of one search."""
ORDERS = tuple(order for order in get_args(Order) if order != "name")
_FROM_TO = re.compile(r"(?:min:([0-9.]{1,9})([KMBT]?))?,?(?:max:([0-9.]{1,9})([KMBT]?))?")
_TIMES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
MOST = 1 << 62


@takes(
    query={"author": TEXT, "search": TEXT, "filter": TEXT, "pipeline_tag": TEXT, "num_parameters": TEXT, "gated": FLAG,
           "sort": {"enum": list(ORDERS)}, "direction": {"enum": [-1, 1]}, "limit": NUMBER, "cursor": NUMBER,
           "full": FLAG, "config": FLAG, "cardData": FLAG, "expand": summaries.PROPERTY,
           "expand[]": summaries.PROPERTY}
)  # fmt: skip
def search(request: Request) -> JSONResponse:
    """GET /api/{kind}: the repositories that the client may read, by name, or the greatest of `sort` first.

    `search` is words that stand in the name, the title or the tags; each `filter` is a tag. 400 for any other filter or
    order: all repositories would come back as if they fitted.
    """
    refuse_unknown(request)
    kind, here = request.path_params["kind"], hub(request)
    found = here.find(user(request), wanted(request, kind))
    full = paging.flag(request, "full") or "siblings" in summaries.asked(request)
    url = f"{base_url(request)}/api/{kind}"
    start, end, more = paging.page(request, len(found), url, PAGE_FULL if full else PAGE)
    rows = here.index.rows(found[start:end])
    return JSONResponse([_told(request, row, full=full) for row in rows], headers=more)


def wanted(request: Request, kind: str) -> Wanted:
    """What the query asks for. Raises Problem 400 for what is not offered."""
    words = " ".join(request.query_params.getlist("search")).split()
    tags = [tag for each in request.query_params.getlist("filter") for tag in each.split(",") if tag]
    if len(words) + len(tags) > MAX_ASKED:
        raise Problem(400, f"more than {MAX_ASKED} words and filters")
    sort = query(request, "sort") or "name"
    order = next((each for each in get_args(Order) if each == sort), None)
    if order is None:
        raise Problem(400, f"this server does not offer the order {sort[:100]!r}: {', '.join(ORDERS)}")
    direction = query(request, "direction") or ("1" if sort == "name" else "-1")
    if direction not in ("1", "-1"):
        raise Problem(400, "direction is 1 or -1")
    return Wanted(
        kind, query(request, "author"), tuple(words), tuple(tags), task=query(request, "pipeline_tag"),
        parameters=_from_to(query(request, "num_parameters")),
        gated=paging.flag(request, "gated") if query(request, "gated") is not None else None,
        order=order, descending=direction == "-1",
    )  # fmt: skip


def _from_to(text: str | None) -> tuple[int, int] | None:
    """The bounds that `min:7B,max:128B` tells. Raises Problem 400."""
    if text is None:
        return None
    found = _FROM_TO.fullmatch(text)
    try:
        if found is None or not text:
            raise ValueError
        least = int(float(found[1]) * _TIMES[found[2]]) if found[1] else 0
        return least, int(float(found[3]) * _TIMES[found[4]]) if found[3] else MOST
    except ValueError:
        raise Problem(400, "num_parameters is such as min:7B,max:128B") from None


def _told(request: Request, row: Listed, *, full: bool) -> dict[str, Any]:
    answer = summaries.summary(row.seen, row.created, row.downloads, row.facts)
    more = summaries.more(row.facts)
    asked = {"cardData": "cardData", "config": "config", "safetensors": "full", "model-index": "full"}
    expand = summaries.asked(request)
    answer |= {key: more[key] for key in more if paging.flag(request, asked[key]) or key in expand}
    if full:
        names = objects.file_names(row.seen.repository.folder, row.facts.commit)
        answer["siblings"] = [{"rfilename": name} for name in names]
    return summaries.expanded(request, answer)
