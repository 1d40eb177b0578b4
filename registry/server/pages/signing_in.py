"""Signing in and out: by a password, or at the provider of identities where the operator names one."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.errors import InputError
from registry.server.access import passwords, provider
from registry.server.access.people import UserAccount
from registry.server.access.provider import Arrival, Journey
from registry.server.pages.answered import HEADERS, SIGN_IN, Page, respond
from registry.server.pages.sites import Site
from registry.server.problems import Problem, busy
from registry.server.routes import asking, cookies, forms
from registry.server.routes.receiving import address_of
from registry.server.store import holdings

HOME = "/settings"
_WAY = re.compile(r"/(?![/\\])[A-Za-z0-9._~/%@+-]{0,500}")
"""A page of this server: what another site would be has two slashes."""


def offered(site: Site, request: Request) -> Response:
    """GET /sign-in: the form, or the way to the provider."""
    return _page(site, request, request.query_params.get("to", ""))


def way(text: str) -> str:
    """The page that somebody comes to who has signed in: the one that was asked for, should it be this server's."""
    return text if _WAY.fullmatch(text) else HOME


def at_provider(site: Site, request: Request) -> Response:
    """GET /sign-in/provider: off to the provider."""
    secret = cookies.visit(request)
    answer = RedirectResponse(_journey(site, request, secret).start(), 303, HEADERS)
    cookies.remember_visit(request, answer, secret)
    return answer


def back(site: Site, request: Request) -> Response:
    """GET /sign-in/back: from the provider, with a code that tells who it is."""
    arrival = _journey(site, request, cookies.visited(request)).end(request.query_params)
    people = site.hub.accounts.people
    account = people.bound_to(arrival.identity) or _newcomer(site, arrival)
    return begin(site, request, account.name, "")


def _journey(site: Site, request: Request, visit: str) -> Journey:
    named = provider.named_in(site.hub.root)
    if named is None:
        raise Problem(404, "this server has no provider of identities")
    return Journey(named, site.hub.links, visit, f"{asking.base_url(request)}/sign-in/back")


def _newcomer(site: Site, arrival: Arrival) -> UserAccount:
    """A new user, by the name that they have at the provider. Raises Problem 403 where that cannot be."""
    named = provider.named_in(site.hub.root)
    words = f"as {arrival.identity.subject[:100]}: whoever looks after this server can make you a user, bound to that"
    if named is None or not named.newcomers:
        raise Problem(403, f"nobody here signs in {words}")
    if holdings.has_namespace(site.hub.repositories, arrival.wanted):
        raise Problem(403, f"the name {arrival.wanted} is somebody's, and you signed in {words}")
    try:
        return site.hub.accounts.people.create_user(arrival.wanted, identity=arrival.identity, by=arrival.wanted)
    except InputError as problem:
        raise Problem(403, f"{problem.message}; you signed in {words}") from problem


async def by_password(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /sign-in: begin a session by name and password."""
    if provider.named_in(site.hub.root) is not None:
        raise Problem(403, "here one signs in at the provider")
    name, to = fields.get("name", ""), fields.get("to", "")
    site.attempts.take(address_of(request), name)
    if not await _holds(site, name, fields.get("password", "")):
        return await run_in_threadpool(_page, site, request, to, "That name and that password do not go together.", 403)
    return await run_in_threadpool(begin, site, request, name, to)


def begin(site: Site, request: Request, name: str, to: str) -> Response:
    """Begin a session of somebody who has shown who they are."""
    answer = RedirectResponse(way(to), 303)
    cookies.sign_in(request, answer, name)
    site.hub.audit.add("signed in", name, name, {}, request.scope.get("seen", {}).get("id"))
    return answer


def by_token(site: Site, request: Request) -> Response:
    """GET /sign-in/token: the browser asks for a token, and sends it with every page from then on."""
    if asking.user(request) is None:
        raise Problem(401, "give any name, and your token as the password", headers=SIGN_IN)
    return RedirectResponse("/", 303)


def out(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /sign-out: end the session."""
    answer = RedirectResponse("/", 303)
    cookies.sign_out(request, answer)
    return answer


async def _holds(site: Site, name: str, password: str) -> bool:
    """Whether that is their password. Who waits for others holds no thread: readers need those.

    Raises Problem 503 where others take too long.
    """
    try:
        async with asyncio.timeout(passwords.PATIENCE):
            await site.signing.acquire()
    except TimeoutError:
        raise busy("signing in") from None
    try:
        account = await run_in_threadpool(lambda: site.hub.accounts.people.read().user(name))
        return await run_in_threadpool(passwords.holds, None if account is None else account.password, password)
    finally:
        site.signing.release()


def _page(site: Site, request: Request, to: str, problem: str = "", status: int = 200) -> Response:
    secret = cookies.visit(request)
    named = provider.named_in(site.hub.root)
    facts: dict[str, Any] = {"title": "Sign in", "provider": named and named.name}
    shown = {"to": way(to), "key": forms.visit_key(request, secret), "problem": problem}
    answer = respond(site, request, Page("sign_in.html", facts, shown, status))
    cookies.remember_visit(request, answer, secret)
    return answer
