"""The pages of somebody who has signed in: their tokens, their password, and the organisations that they are in."""

from __future__ import annotations

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.errors import InputError
from registry.server.access import passwords
from registry.server.access.accounts import check_places
from registry.server.access.people import NamespaceRole, Organisation
from registry.server.access.rights import User
from registry.server.access.tokens import Role, Token
from registry.server.pages.answered import Page, respond
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import cookies
from registry.server.routes.receiving import address_of

DAYS = (7, 30, 90, 365)
"""How long a token may live that somebody makes for themselves; none lives for ever."""
DAY = 24 * 3600
MAX_PLACES = 50


def shown(site: Site, request: Request) -> Page | Response:
    """GET /settings."""
    user = cookies.session(request)
    return RedirectResponse("/sign-in?to=/settings", 303) if user is None else _page(site, user)


def create_token(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /settings/tokens: make a token, and show it this once."""
    user = _somebody(request)
    only = tuple(dict.fromkeys(re.split(r"[\s,]+", fields.get("only", "").strip()))) if fields.get("only") else None
    try:
        role, days = Role(fields.get("role", "")), int(fields.get("days", ""))
        if days not in DAYS or (only is not None and len(only) > MAX_PLACES):
            raise ValueError("that was not offered")
    except ValueError as problem:
        raise Problem(400, "choose a role, and how long the token lives") from problem
    if role is Role.ADMIN and user.role is not Role.ADMIN:
        raise Problem(403, f"{user.name} is not an admin")
    label = " ".join(fields.get("label", "").split())[:100]
    try:
        check_places(user, only or ())
        tokens = site.hub.accounts.tokens
        _, secret = tokens.create(user.name, role, only=only, label=label, seconds=days * DAY, by=user.name)
    except InputError as problem:
        return respond(site, request, _page(site, user, problem=problem.message))
    answer = respond(site, request, _page(site, user, made=secret))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def revoke_token(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /settings/tokens/revoke."""
    user = _somebody(request)
    try:
        site.hub.accounts.tokens.revoke(fields.get("id", ""), of=user.name, by=user.name)
    except InputError as problem:
        raise Problem(404, problem.message) from problem
    return RedirectResponse("/settings", 303)


def change_password(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /settings/password: other sessions end, and this one is begun anew."""
    user = _somebody(request)
    accounts = site.hub.accounts
    site.attempts.take(address_of(request), user.name)
    if not passwords.holds(accounts.people.user(user.name).password, fields.get("old", "")):
        return respond(site, request, _page(site, user, problem="That is not your password.", status=403))
    try:
        encoded = passwords.made(fields.get("new", ""))
    except InputError as problem:
        return respond(site, request, _page(site, user, problem=problem.message, status=400))
    accounts.set_password(user.name, encoded, by=user.name)
    answer = RedirectResponse("/settings", 303)
    cookies.sign_in(request, answer, user.name)
    return answer


def organisation(site: Site, request: Request) -> Page:
    """GET /settings/organisations/{name}: its members, for its members. 404 for others."""
    user = _somebody(request)
    return _members(user, _own(site, request, user))


def set_role(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /settings/organisations/{name}: say what somebody may do in it; for its owners."""
    user, found = _ruled(site, request)
    try:
        role = None if fields.get("role") == "none" else NamespaceRole(fields.get("role", ""))
        site.hub.accounts.people.set_role(found.name, fields.get("user", ""), role, by=user.name)
    except InputError as problem:
        return respond(site, request, _members(user, found, problem.message, 409))
    except ValueError as problem:
        raise Problem(400, "choose a role") from problem
    left = role is None and fields.get("user") == user.name
    return RedirectResponse("/settings" if left else f"/settings/organisations/{found.name}", 303)


def remove_organisation(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /settings/organisations/{name}/remove: let it be none any more; for its owners, who write its name."""
    user, found = _ruled(site, request)
    if fields.get("name") != found.name:
        return respond(site, request, _members(user, found, f"Write {found.name} to remove it.", 400))
    try:
        site.hub.accounts.remove_organisation(found.name, by=user.name)
    except InputError as problem:
        return respond(site, request, _members(user, found, f"{problem.message}: {problem.mend}", 409))
    return RedirectResponse("/settings", 303)


def _somebody(request: Request) -> User:
    """Who has signed in. Raises Problem 403 for nobody: a token alone makes no other."""
    user = cookies.session(request)
    if user is None:
        raise Problem(403, "sign in first: /sign-in")
    return user


def _own(site: Site, request: Request, user: User) -> Organisation:
    found = site.hub.accounts.people.read().organisation(request.path_params["name"])
    if found is None or (user.role is not Role.ADMIN and user.name not in found.members):
        raise Problem(404, "there is no such organisation")
    return found


def _ruled(site: Site, request: Request) -> tuple[User, Organisation]:
    """Who has signed in, and the organisation of the path. Raises Problem 403 where it is not theirs to rule."""
    user = _somebody(request)
    found = _own(site, request, user)
    if not _rules(user, found):
        raise Problem(403, f"{user.name} is not an owner of {found.name}")
    return user, found


def _rules(user: User, found: Organisation) -> bool:
    return user.role is Role.ADMIN or user.name in found.owners


def _members(user: User, found: Organisation, problem: str = "", status: int = 200) -> Page:
    facts = {"name": found.name, "members": dict(found.members)}
    shown = {"title": found.name, "rules": _rules(user, found), "roles": list(NamespaceRole), "problem": problem}
    return Page("organisation.html", facts, shown, status)


def _page(site: Site, user: User, *, made: str = "", problem: str = "", status: int = 200) -> Page:
    account = site.hub.accounts.people.user(user.name)
    now = time.time()
    tokens = [_told(each) for each in site.hub.accounts.tokens.list(user.name) if not each.expired(now)]
    facts = {"name": user.name, "admin": account.admin, "roles": dict(user.roles), "tokens": tokens}
    more = {
        "title": "Settings", "made": made, "problem": problem, "password": account.password is not None, "days": DAYS,
        "kinds": [role for role in Role if role is not Role.ADMIN or user.role is Role.ADMIN],
    }  # fmt: skip
    return Page("settings.html", facts, more, status)


def _told(token: Token) -> dict[str, Any]:
    until = token.expires and time.strftime("%Y-%m-%d", time.gmtime(token.expires))
    return {"id": token.id, "label": token.label, "role": str(token.role), "only": token.only, "until": until}
