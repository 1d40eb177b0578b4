"""The OpenAPI document names every route, and a fuzzer that reads it finds nothing that makes the server fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from registry.server.routes import openapi
from registry.server.routes.app import create_app
from registry.server.state import Hub
from tests.bench import hub_fuzz
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    app = create_app(Hub.open(tmp_path_factory.mktemp("hub")))
    assert all(isinstance(route, Route) for route in app.routes)
    return [route for route in app.routes if isinstance(route, Route)]


@pytest.fixture(scope="module")
def document(routes: list[Route]) -> dict[str, Any]:
    return openapi.document(routes)


def test_every_route_is_in_it_and_nothing_else(routes: list[Route], document: dict[str, Any]) -> None:
    written = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert written == {(route.path_format, method) for route in routes for method in route.methods or ()}
    assert len(written) > 50


def test_it_says_what_the_routes_read(document: dict[str, Any]) -> None:
    tag = document["paths"]["/api/{kind}/{owner}/{name}/tag/{revision}"]["post"]
    assert tag["requestBody"]["content"]["application/json"]["schema"]["required"] == ["tag"]
    assert {each["name"] for each in tag["parameters"]} == {"kind", "owner", "name", "revision"}
    lines = document["paths"]["/api/{kind}/{owner}/{name}/commit/{revision}"]["post"]["requestBody"]["content"]
    assert lines["application/x-ndjson"]["schema"]["items"]["discriminator"]["propertyName"] == "key"
    tree = document["paths"]["/api/{kind}/{owner}/{name}/tree/{revision}"]["get"]
    assert {"cursor", "limit", "recursive"} <= {each["name"] for each in tree["parameters"]}
    assert "its rows" in tree["summary"]


def test_every_reference_in_it_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    asked = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert asked and asked == set(document["components"]["schemas"])


def test_the_server_gives_it_away(hub: HubInstance, document: dict[str, Any]) -> None:
    assert json.loads(ask(hub, "GET", "/openapi.json", token="")[2]) == document


def test_a_fuzzer_finds_no_failure(hub: HubInstance, tmp_path: Path) -> None:
    """A few seconds of what `python -m tests.bench hub_fuzz` does for three minutes."""
    repo = "glasshouse/fuzzed"
    hub_fuzz.furnish(hub, repo, tmp_path / "folder")
    counts = hub_fuzz.fuzz(hub, repo, examples=3, seed=1)
    assert counts[200] > 20  # not all of it is refused
