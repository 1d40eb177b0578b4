"""What a request says of itself: who asks which server, about which repository."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from registry.server.access import auth, rights
from registry.server.access.rights import User
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.routes import cookies
from registry.server.routes.served import base_url as base_url
from registry.server.routes.served import hub as hub
from registry.server.store.repository import Repository


def user(request: Request) -> User | None:
    """Who sent the request; None for nobody. A browser's session counts where no other site can have had it asked.

    Raises Problem 401 for a token that is not known, 403 for a browser's that another site makes use of: browsers
    remember what `Basic` sent once, and send it again for any page.
    """
    header = request.headers.get("authorization", "")
    origin = request.headers.get("origin")
    if header[:6].lower() == "basic " and origin is not None and not f"{base_url(request)}/".startswith(f"{origin}/"):
        raise Problem(403, "a password is not taken from another site's page")
    found = auth.user(hub(request).accounts, request.headers.get("authorization"))
    by_token = found is not None
    if found is None and (request.method in cookies.SAFE or request.scope.get("form")):
        found = cookies.session(request)
    if found is not None and "seen" in request.scope:
        request.scope["seen"] |= {"user": found.name, "session": not by_token}
    return found


def member(request: Request) -> User:
    """Who sent the request. Raises Problem 401 for nobody."""
    found = user(request)
    if found is None:
        raise Problem(401, "a token is needed: set HF_TOKEN")
    return found


def repository(request: Request) -> Repository:
    """The repository that the path names, for reading.

    Raises Problem 404, also for a private one that is not theirs to read, and 401 for a token that is not known.
    """
    params = request.path_params
    name = RepoName(params.get("kind", "models"), params["owner"], params["name"].removesuffix(".git"))
    found = hub(request).readable(name, user(request))
    if (upstream := found.upstream) is not None and "seen" in request.scope:
        request.scope["seen"] |= {"mirror": upstream, "age": max(0, int(time.time() - found.asked))}
    return found


def opened(request: Request) -> Repository:
    """The same, for its files. Raises Problem 401 and 403, too, where a gate is before them."""
    found = repository(request)
    rights.check_open(user(request), found)
    return found


def cloned(request: Request) -> Repository:
    """The repository of the path, for git and git-lfs. They send no token before a 401 asks for one, so nobody gets it.

    Raises Problem 401 and 404.
    """
    try:
        return opened(request)
    except Problem as problem:
        if problem.status in (401, 404) and user(request) is None:
            headers = dict.fromkeys(("WWW-Authenticate", "LFS-Authenticate"), 'Basic realm="Hub"')
            raise Problem(401, "a token is needed", headers=headers) from problem
        raise


def writable(request: Request) -> tuple[Repository, User]:
    """The repository that the path names, and who may write it. Raises Problem 401, 403 and 404."""
    asking = member(request)
    found = own(repository(request))
    rights.check_write(asking, found)
    return found, asking


def proposable(request: Request) -> tuple[Repository, User]:
    """The repository that the path names, and who may propose a change to it. Raises Problem 401, 403 and 404."""
    asking = member(request)
    found = own(opened(request))
    rights.check_propose(asking, found)
    return found, asking


def own(repo: Repository) -> Repository:
    """`repo`, where it is this server's own. Raises Problem 403 for a copy of another Hub's, which is changed there."""
    if repo.upstream is not None:
        raise Problem(403, f"{repo.name} is a copy of {repo.upstream}, and is changed there")
    return repo


def claimed(request: Request, claims: Mapping[str, str], *, writes: bool = False) -> Repository:
    """The repository that a link was signed for, while whoever it was given to may read it, or write it, by themselves.

    Raises Problem 401, 403 and 404 where they may no more, or it has gone since.
    """
    token = claims.get("token", "")
    holder = hub(request).accounts.named(token) if token else None
    if token and holder is None:
        raise Problem(403, "this link is not valid, or no longer")
    found = hub(request).readable(RepoName(*claims["repo"].split("/")), holder)
    if writes and (holder is None or not rights.may_write(holder, found)):
        raise Problem(403, f"whoever was given this link may not write to {found.name.owner} any more")
    rights.check_open(holder, found)
    return found


def token_id(request: Request) -> str:
    """Which token the request was sent with, for a link that is given out; empty for none."""
    asks = user(request)
    return asks.token if asks is not None else ""


async def note(request: Request, event: str, about: object, **facts: object) -> None:
    """Write into the audit log what the request has done."""
    seen = request.scope.get("seen", {})
    await run_in_threadpool(hub(request).audit.add, event, str(seen.get("user")), str(about), facts, seen.get("id"))
