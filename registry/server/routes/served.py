"""Which server got a request, and where clients reach it."""

from __future__ import annotations

from starlette.requests import Request

from registry.server.state import Hub


def hub(request: Request) -> Hub:
    """The server that got this request."""
    found = request.app.state.hub
    assert isinstance(found, Hub)
    return found


def base_url(request: Request) -> str:
    """The server's address, without a slash at the end: what it was told, else what the client asked for."""
    return hub(request).url or str(request.base_url).rstrip("/")
