"""Routes of the account, and of no repository: who am I, a token for a workflow, a look at a card's metadata."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from registry.hub import metadata
from registry.server.access import publishers
from registry.server.problems import Problem
from registry.server.routes import bodies, people, receiving
from registry.server.routes.asking import hub, member
from registry.server.routes.declared import takes

MAX_FRONT = 256 << 10
"""Bytes of metadata that are looked at for anybody: it takes a second for each million."""


async def whoami(request: Request) -> JSONResponse:
    """GET /api/whoami-v2."""
    user = member(request)
    orgs = [{**people.organisation(name), "roleInOrg": people.ROLES[role]} for name, role in user.roles.items()]
    return JSONResponse(
        {
            "type": "user",
            "id": user.name,
            "name": user.name,
            "fullname": user.name,
            "isPro": False,
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": people.told_of_token(user)},
        }
    )


@takes(bodies.Exchange)
async def exchange(request: Request) -> JSONResponse:
    """POST /oauth/token: a token for the identity token of a workflow that is trusted with a repository."""
    body = await receiving.read(request, bodies.Exchange)
    here = hub(request)
    buy = partial(publishers.exchange, here.root, here.accounts.tokens)
    bought = await run_in_threadpool(buy, body.subject_token, body.resource)
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return JSONResponse(
        {
            "access_token": bought.token,
            "token_type": "bearer",
            "expires_in": bought.seconds,
            "issued_token_type": kind,
        },
        headers={"Cache-Control": "no-store"},
    )


@takes(bodies.ValidateYaml)
async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: whether the Hub understands the metadata of a README.md. 400 names what is wrong.

    In words, where `Accept` asks for text.
    """
    body = await receiving.read(request, bodies.ValidateYaml)
    card = body.content.lstrip().encode()
    if len(card) - len(metadata.after_front_matter(card)) > MAX_FRONT:
        raise Problem(400, f"the metadata has more than {MAX_FRONT} bytes")
    found = await run_in_threadpool(metadata.look_at, card)
    if "text/plain" in request.headers.get("accept", ""):
        lines = [f"- Error: {each}" for each in found.errors] + [f"- Warning: {each}" for each in found.warnings]
        return PlainTextResponse("\n".join(lines), 400 if found.errors else 200)
    answer = {key: [{"message": each} for each in told] for key, told in asdict(found).items()}
    return JSONResponse(answer, 400 if found.errors else 200)
