"""The server's OpenAPI document, made from its routes, what they declare, and their docstrings.

Source: OpenAPI Specification 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter
from starlette.routing import Route

from registry.server.names import KINDS
from registry.server.routes.declared import BYTES, FORM, LINES, Takes, taken

_DEFS = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
    "description": "What is wrong, in a sentence; `X-Error-Code` has the Hub's code for what is not there.",
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of `routes`."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in sorted(route.methods or ()):
            paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "A Hub-compatible server", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route, method: str, schemas: dict[str, Any]) -> dict[str, Any]:
    told = taken(route.endpoint)
    place = re.sub(r"[^A-Za-z0-9]+", "-", route.path_format).strip("-")
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}-{place}",
        "summary": " ".join((route.endpoint.__doc__ or route.endpoint.__name__).split("\n\n")[0].split()),
        "parameters": [*map(_path_parameter, route.param_convertors), *_query_parameters(told)],
        "responses": {
            "2XX": {"description": "It is done, or this is it."},
            "304": {"description": "The client has it already."},
            "4XX": {"description": "It is declined."},
        },
    }
    if method != "HEAD":
        error = {"schema": {"$ref": "#/components/schemas/Error"}}
        operation["responses"]["4XX"]["content"] = {"application/json": error}
    if told.media and method not in ("GET", "HEAD"):
        content = {media: {"schema": _body(told, media, schemas)} for media in told.media}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name == "kind":
        schema = {"enum": list(KINDS)}
    return {"name": name, "in": "path", "required": True, "schema": dict(schema)}


def _query_parameters(told: Takes) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": dict(schema)} for name, schema in told.query.items()]


def _body(told: Takes, media: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body; what it refers to goes to `schemas`."""
    if told.body is None or media == BYTES:
        return {"type": "string", "format": "binary"}
    if isinstance(told.body, TypeAdapter):
        schema = told.body.json_schema(ref_template=_DEFS)
    else:
        assert issubclass(told.body, BaseModel)
        schema = told.body.model_json_schema(ref_template=_DEFS)
    for name, part in schema.pop("$defs", {}).items():
        assert schemas.setdefault(name, part) == part, f"two bodies have a part of the name {name}"
    if media == LINES:
        return {"type": "array", "items": schema, "description": "One JSON value a line."}
    assert media != FORM or schema["type"] == "object"
    return schema
