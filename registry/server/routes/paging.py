"""What is asked in a query: flags, numbers, and which page of a list."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request

from registry.server.problems import Problem
from registry.server.routes.declared import query

FLAG = {"type": "boolean"}
TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
PAGE = 1000
"""Rows in one answer."""


def flag(request: Request, key: str) -> bool:
    """Whether a flag of the query is set."""
    return (query(request, key) or "").lower() in ("true", "1")


def number(request: Request, key: str, default: int) -> int:
    """A number of the query. Raises Problem 400 for what is not one."""
    text = query(request, key) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Problem(400, f"{key} is not a number")
    return int(text)


def page(request: Request, count: int, url: str, most: int = PAGE) -> tuple[int, int, dict[str, str]]:
    """(start, end, headers) of the page that is asked for, of `count` rows: from `cursor` on, `limit` of them.

    The headers hold a link to the next page, at `url`.
    """
    start = number(request, "cursor", 0)
    end = start + min(most, max(1, number(request, "limit", most)))
    if end >= count:
        return start, end, {}
    again = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    return start, end, {"Link": f'<{url}?{urlencode([*again, ("cursor", str(end))])}>; rel="next"'}
