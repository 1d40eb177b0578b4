"""Routes of users and organisations, as the Hub's clients ask for them, and what they are told of a token."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.errors import Refused
from registry.hub.reference import DATASETS
from registry.server.access.people import NamespaceRole
from registry.server.access.rights import User
from registry.server.access.tokens import Role
from registry.server.problems import Problem
from registry.server.routes.asking import hub, member

ROLES = {NamespaceRole.READ: "read", NamespaceRole.WRITE: "write", NamespaceRole.OWNER: "admin"}
"""What the Hub's clients call each role."""
_READS = ["repo.content.read", "repo.access.read"]
_WRITES = [*_READS, "repo.write", "discussion.write"]


def organisation(name: str) -> dict[str, Any]:
    """What is said of an organisation wherever it is named."""
    return {"type": "org", "id": name, "name": name, "fullname": name}


def told_of_token(user: User) -> dict[str, Any]:
    """What `whoami` says of a token: fine-grained where it is not for all that its user may do."""
    may = "read" if user.role is Role.READ else "write"
    if user.only is None:
        return {"displayName": user.token, "role": may}
    scoped = [
        {"entity": _entity(user, place), "permissions": _READS if may == "read" else _WRITES} for place in user.only
    ]
    return {"displayName": user.token, "role": "fineGrained", "fineGrained": {"global": [], "scoped": scoped}}


def _entity(user: User, place: str) -> dict[str, str]:
    if "/" not in place:
        return {"_id": place, "type": "user" if place == user.name else "org", "name": place}
    return {
        "_id": place,
        "type": "dataset" if place.startswith(DATASETS) else "model",
        "name": place.removeprefix(DATASETS),
    }


def user_overview(request: Request) -> JSONResponse:
    """GET /api/users/{user}/overview, for those who are known here. 404 for nobody."""
    member(request)
    people, name = hub(request).accounts.people.read(), request.path_params["user"]
    if people.user(name) is None:
        raise Problem(404, f"nobody here is called {name[:100]}")
    orgs = [organisation(each) for each in people.roles(name)]
    return JSONResponse({**_user(name), "isPro": False, "orgs": orgs})


def overview(request: Request) -> JSONResponse:
    """GET /api/organizations/{organisation}/overview, for those who are known here. 404 where there is none."""
    name, members = _asked(request)
    return JSONResponse({**organisation(name), "numUsers": len(members)})


def members(request: Request) -> JSONResponse:
    """GET /api/organizations/{organisation}/members, for those who are known here. 404 where there is none."""
    _, found = _asked(request)
    return JSONResponse([{**_user(name), "role": ROLES[role]} for name, role in found.items()])


async def remove(request: Request) -> JSONResponse:
    """DELETE /api/organizations/{organisation}, by one of its owners, or an admin. 409 while it has repositories."""
    user = member(request)
    name, found = await run_in_threadpool(_asked, request)
    if user.role is not Role.ADMIN and (user.only is not None or found.get(user.name) is not NamespaceRole.OWNER):
        raise Problem(403, f"the token of {user.name} does not rule {name}")
    if user.role is Role.READ:
        raise Problem(403, f"the token of {user.name} is for reading only")
    try:
        await run_in_threadpool(hub(request).accounts.remove_organisation, name, by=user.name)
    except Refused as problem:
        raise Problem(409, f"{problem.message}: {problem.mend}") from problem
    return JSONResponse({})


def _asked(request: Request) -> tuple[str, dict[str, NamespaceRole]]:
    """The organisation of the path, and its members. Raises Problem 401 and 404."""
    member(request)
    name = request.path_params["organisation"]
    found = hub(request).accounts.people.read().organisation(name)
    if found is None:
        raise Problem(404, f"there is no organisation {name[:100]}")
    return found.name, found.members


def _user(name: str) -> dict[str, Any]:
    return {"type": "user", "user": name, "fullname": name}
