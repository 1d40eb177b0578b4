"""The cookies of a browser: its session's, once somebody has signed in; its visit's, while they are about to.

A visit's cookie is signed, and ends after an hour. Source: RFC 6265bis (the prefix `__Host-`, SameSite).
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from registry.server.access.rights import User
from registry.server.access.sessions import SECONDS
from registry.server.problems import Problem
from registry.server.routes.served import base_url, hub

VISIT_SECONDS = 3600
SESSION, VISIT = "glasshouse", "glasshouse-visit"
SAFE = ("GET", "HEAD")
"""What no site can do harm with by having a browser ask for it."""


def session(request: Request) -> User | None:
    """Whose browser sends its session's cookie; None for nobody's."""
    secret = _cookie(request, SESSION)
    return hub(request).accounts.visitor(secret) if secret else None


def sign_in(request: Request, answer: Response, user: str) -> None:
    """Begin a new session, and end the one that there was: no cookie of before stands for somebody now."""
    sign_out(request, answer)
    secret = hub(request).accounts.sessions.open(user)
    _set(request, answer, SESSION, secret, SECONDS)
    answer.delete_cookie(_name(request, VISIT), path="/", secure=_secure(request), httponly=True, samesite="lax")


def sign_out(request: Request, answer: Response) -> None:
    """End the session."""
    hub(request).accounts.sessions.close(_cookie(request, SESSION))
    answer.delete_cookie(_name(request, SESSION), path="/", secure=_secure(request), httponly=True, samesite="lax")


def visit(request: Request) -> str:
    """The secret of this visit: the one that the browser sends, should that be good, else a new one."""
    links = hub(request).links
    known = _cookie(request, VISIT)
    try:
        links.claims(dict(parse_qsl(known)), "visit")
    except Problem:
        return links.query(action="visit", number=secrets.token_urlsafe(32))
    return known


def remember_visit(request: Request, answer: Response, secret: str) -> None:
    """Have the browser send it again."""
    _set(request, answer, VISIT, secret, VISIT_SECONDS)


def visited(request: Request) -> str:
    """The secret of the visit that the request goes on with. Raises Problem 403 where there is none, or no longer."""
    known = _cookie(request, VISIT)
    hub(request).links.claims(dict(parse_qsl(known)), "visit")
    return known


def session_secret(request: Request) -> str:
    """What the browser sends as its session's cookie; empty for nothing."""
    return _cookie(request, SESSION)


def _secure(request: Request) -> bool:
    return base_url(request).startswith("https:")


def _name(request: Request, name: str) -> str:
    """Over TLS the cookie can be set by this host alone, not by its neighbours."""
    return f"__Host-{name}" if _secure(request) else name


def _cookie(request: Request, name: str) -> str:
    return request.cookies.get(_name(request, name), "")


def _set(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        _name(request, name), value, max_age=seconds, path="/", secure=_secure(request), httponly=True, samesite="lax"
    )
