"""What each route takes, declared once beside it: read from there by the route itself and by the OpenAPI document.

A body or a query parameter that is not declared cannot be read: the assertion here fails in the route's first test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request

from registry.server.problems import Problem

JSON = "application/json"
LINES = "application/x-ndjson"
BYTES = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
Schema = Mapping[str, Any]
"""A JSON schema."""
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Takes:
    """What a route takes.

    body: the shape of its body, of each line of it for LINES; None for none, or for bytes.
    media: the types of its body.  query: {parameter: its JSON schema}.
    """

    body: type[BaseModel] | TypeAdapter[Any] | None = None
    media: tuple[str, ...] = ()
    query: Mapping[str, Schema] = field(default_factory=dict)


_NOTHING = Takes()
_TAKES: dict[Callable[..., Any], Takes] = {}


def takes(
    body: type[BaseModel] | TypeAdapter[Any] | None = None,
    *,
    media: tuple[str, ...] | None = None,
    query: Mapping[str, Schema] = MappingProxyType({}),
) -> Callable[[Endpoint], Endpoint]:
    """Declare what the route below takes; see Takes. A body is JSON unless `media` says otherwise."""
    told = Takes(body, media or ((JSON,) if body is not None else ()), query)

    def declare(endpoint: Endpoint) -> Endpoint:
        _TAKES[endpoint] = told
        return endpoint

    return declare


def taken(endpoint: Callable[..., Any]) -> Takes:
    """What was declared of a route."""
    return _TAKES.get(endpoint, _NOTHING)


def query(request: Request, name: str) -> str | None:
    """A parameter of the request's query; None where it is not there."""
    assert name in taken(request.scope["endpoint"]).query, f"{name} is not declared"
    return request.query_params.get(name)


def refuse_unknown(request: Request) -> None:
    """Raise Problem 400 for a parameter of the query that was not declared of the request's route."""
    for name in request.query_params:
        if name not in taken(request.scope["endpoint"]).query:
            raise Problem(400, f"this server does not offer {name[:100]!r} here")


def check_body(request: Request, body: object) -> None:
    """That this is the body that was declared of the request's route."""
    assert taken(request.scope["endpoint"]).body is body, f"another body is declared than {body}"
