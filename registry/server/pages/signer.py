"""The page of a signer: every release that one identity signed, as far as the reader may see, and who else did."""

from __future__ import annotations

from starlette.requests import Request

from registry.server.names import KINDS
from registry.server.pages import listing
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking
from registry.server.store import git
from registry.server.store.index import Wanted

MAX_NAME = 1_000
MAX_READ = 300
"""Releases that are read for one request; those that were read before do not count."""


def releases_by(site: Site, request: Request) -> Page:
    """GET /signer?name=…: what was signed by that name, whose signatures hold."""
    name = request.query_params.get("name", "")
    if not name or len(name) > MAX_NAME:
        raise Problem(404, "a signer has a name: /signer?name=…")
    reader = asking.user(request)
    left, items = MAX_READ, []
    for kind in KINDS:
        for seen in site.hub.find(reader, Wanted(kind)):
            try:
                told, left = site.signed(site.index.row(seen.repository), left)
            except (Problem, git.GitFailed):  # it has gone since, or cannot be read
                continue
            signed = [each for each in told if each.signer == name]
            if signed:
                others = sorted({each.signer for each in told if each.signer not in (name, None)})
                known = {"place": seen.name.url_path, "others": others, "signed": [each.as_json() for each in signed]}
                items += [{**item, **known} for item in listing.items(site, site.hub.index.rows([seen]))]
    if not items and left:
        raise Problem(404, "nothing here is signed by that name")
    return Page("signer.html", {"name": name, "items": items, "whole": left > 0}, {"title": "Signer"})
