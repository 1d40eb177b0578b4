"""Which address is answered by which page. The routes of the Hub's protocol stand before these, and win."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from registry.server.names import RESERVED
from registry.server.pages import (
    audits,
    badge,
    compare,
    data,
    gate,
    history,
    in_browser,
    lineage,
    listing,
    openness,
    release,
    settings,
    signer,
    signing_in,
    training,
    verification,
)
from registry.server.pages.answered import (
    HEADERS,
    LICENCES,
    Sent,
    Shown,
    endpoint,
    form_endpoint,
    licences,
    script,
    stylesheet,
)
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes.app import know_parts
from registry.server.state import Hub

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f766e"/>'
    '<path d="M7 15 16 7l9 8v10H7zM16 7v18M7 15h18" fill="none" stroke="#fff" stroke-width="2.2" '
    'stroke-linejoin="round"/></svg>'
)


class _Owner(Convertor[str]):
    """The first part of a path that names a namespace: none that the server keeps for itself."""

    regex = f"(?!(?:{'|'.join(sorted(map(re.escape, RESERVED)))})(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return value


def pages_of(hub: Hub, site: Site | None = None) -> list[Route]:
    """The routes of all pages of that server. site: what they share, where it was made before."""
    site = site or Site.of(hub)
    know_parts()
    register_url_convertor("namespace", _Owner())

    def page(path: str, shown: Shown) -> Route:
        return Route(path, endpoint(site, shown), methods=["GET"], include_in_schema=False)

    def form(path: str, work: Sent, *, of_visit: bool = False) -> Route:
        return Route(path, form_endpoint(site, work, of_visit=of_visit), methods=["POST"], include_in_schema=False)

    found = [
        Route("/favicon.svg", _icon, include_in_schema=False),
        Route("/glasshouse-check-{digest}.js", _script, include_in_schema=False),
        Route("/glasshouse-{digest}.css", _style, include_in_schema=False),
        Route(LICENCES, _licences, include_in_schema=False),
        page("/", listing.models),
        page("/models", listing.models),
        page("/datasets", listing.datasets),
        page("/signer", signer.releases_by),
        page("/sign-in", signing_in.offered),
        form("/sign-in", signing_in.by_password, of_visit=True),
        page("/sign-in/provider", signing_in.at_provider),
        page("/sign-in/back", signing_in.back),
        page("/sign-in/token", signing_in.by_token),
        form("/sign-out", signing_in.out),
        page("/settings", settings.shown),
        form("/settings/tokens", settings.create_token),
        form("/settings/tokens/revoke", settings.revoke_token),
        form("/settings/password", settings.change_password),
        page("/settings/organisations/{name:segment}", settings.organisation),
        form("/settings/organisations/{name:segment}", settings.set_role),
        form("/settings/organisations/{name:segment}/remove", settings.remove_organisation),
        page("/{owner:namespace}", listing.owner),
    ]
    at = "{revision:segment}"
    for repo in ("/{kind:kind}/{owner:segment}/{name:segment}", "/{owner:namespace}/{name:segment}"):
        found += [
            page(repo, release.shown),
            page(f"{repo}/tree/{at}", release.shown),
            page(f"{repo}/blob/{at}/{{path:rest}}", release.blob),
            form(f"{repo}/access", gate.ask),
            page(f"{repo}/requests", gate.listed),
            form(f"{repo}/requests", gate.decide),
            page(f"{repo}/badge.svg", badge.picture),
            page(f"{repo}/openness.svg", openness.picture),
            page(f"{repo}/history", history.log),
            page(f"{repo}/history.atom", history.feed),
            page(f"{repo}/compare", compare.two),
            page(f"{repo}/lineage/{at}/picture.svg", lineage.picture),
        ]
        for tail in ("", f"/{at}"):
            found += [
                page(f"{repo}/verification{tail}", verification.found),
                form(f"{repo}/verification{tail}", verification.check_again),
                page(f"{repo}/lineage{tail}", lineage.told),
                page(f"{repo}/training{tail}", training.told),
                page(f"{repo}/check{tail}", in_browser.offered),
                page(f"{repo}/data{tail}", data.told),
                page(f"{repo}/openness{tail}", openness.told),
                page(f"{repo}/audits{tail}", audits.told),
            ]
    return found


def _icon(request: Request) -> Response:
    """GET /favicon.svg."""
    return Response(ICON, headers={**HEADERS, "Cache-Control": "max-age=86400"}, media_type="image/svg+xml")


def _style(request: Request) -> Response:
    """GET the stylesheet."""
    address, text = stylesheet()
    if request.url.path != address:
        raise Problem(404, "there is no such stylesheet")
    return Response(text, headers={**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"},
                    media_type="text/css")  # fmt: skip


def _script(request: Request) -> Response:
    """GET the program that checks a release in a browser."""
    address, text, _ = script()
    if request.url.path != address:
        raise Problem(404, "there is no such program")
    return Response(text, headers={**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"},
                    media_type="text/javascript")  # fmt: skip


def _licences(request: Request) -> Response:
    """GET the licences of what is in that program."""
    return Response(licences(), headers=HEADERS, media_type="text/plain; charset=utf-8")
