"""Forms of this server's own pages: no other site can have a browser send one.

A form has a key that is bound to a cookie, which no other site can read: the session's, or before anybody has signed in
the visit's. Source: Fetch Metadata Request Headers.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request

from registry.server.problems import Problem
from registry.server.routes import cookies, receiving
from registry.server.routes.asking import hub
from registry.server.routes.declared import FORM

MAX_FORM = 16 << 10
MAX_FIELDS = 32


def session_key(request: Request) -> str:
    """The key of this session's forms; empty for who is not signed in."""
    secret = _session_secret(request)
    return _key(request, secret) if secret else ""


def visit_key(request: Request, secret: str) -> str:
    """The key of the forms of a visit."""
    return _key(request, secret)


async def read(request: Request, *, of_visit: bool = False) -> dict[str, str]:
    """The fields of a form that this server's own page sent. From here on the request is its session's.

    of_visit: whether it is one of those that somebody signs in with.
    Raises Problem 403 for another site's, 400 and 413 for what is not a form.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "another site asks for this")
    fields = _parsed(request, await receiving.read_bytes(request, MAX_FORM))
    key = fields.pop("key", "")
    secret = cookies.visited(request) if of_visit else _session_secret(request)
    if secret and not hmac.compare_digest(_key(request, secret).encode(), key.encode("utf-8", "surrogateescape")):
        raise Problem(403, "this form is from before, or not from here: open the page again")
    request.scope["form"] = bool(secret) and not of_visit
    return fields


def _parsed(request: Request, data: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if data and kind != FORM:
        raise Problem(400, f"a form is {FORM}")
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as problem:
        raise Problem(400, "that is not a form") from problem
    if len(dict(pairs)) != len(pairs):
        raise Problem(400, "a field of the form is there twice")
    return dict(pairs)


def _session_secret(request: Request) -> str:
    """The secret of the session, empty where it has ended: then the form is nobody's."""
    return cookies.session_secret(request) if cookies.session(request) is not None else ""


def _key(request: Request, secret: str) -> str:
    return hub(request).links.bound("form", secret)
