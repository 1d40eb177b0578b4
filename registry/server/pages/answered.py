"""How a page is answered: HTML from its template, or its JSON; and the headers that keep a browser from all else."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from inspect import iscoroutinefunction
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.errors import GlasshouseError
from registry.server.pages.sites import Site
from registry.server.problems import GATED, Problem
from registry.server.routes import asking, forms
from registry.server.store.gates import AccessGate

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No script at all, and nothing from elsewhere. Source: W3C, Content Security Policy Level 3."""
SCRIPTED = f"{POLICY}; script-src 'self'; connect-src 'self'"
"""What holds on the one page that runs a program: this server's own, which asks this server alone."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept, Authorization, Cookie",
    "Cache-Control": "private, no-cache",
}
LICENCES = "/glasshouse-licences.txt"
SIGN_IN = {"WWW-Authenticate": 'Basic realm="glasshouse", charset="UTF-8"'}
"""The browser asks for a name, which may be any, and for a token in the place of a password."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    template: str
    """The name of its template."""
    facts: Mapping[str, Any]
    """Its JSON."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """What else the template shows."""
    status: int = 200
    """The status of the answer."""
    policy: str = POLICY
    """Its Content-Security-Policy."""


Shown = Callable[[Site, Request], "Page | Response"]
"""A page: makes the answer of a request. It may raise Problem, and GlasshouseError for what a release does not hold."""


Sent = Callable[[Site, Request, dict[str, str]], Response | Awaitable[Response]]
"""What is done with the fields of a form."""


def wants_json(request: Request) -> bool:
    """Whether JSON is asked for: by `?format=json`, or by an Accept that names it before HTML."""
    if "format" in request.query_params:
        return request.query_params["format"] == "json"
    kinds = [part.split(";")[0].strip() for part in request.headers.get("accept", "").split(",")]
    return next((kind for kind in kinds if kind in ("application/json", "text/html")), "") == "application/json"


def endpoint(site: Site, page: Shown) -> Callable[[Request], Response]:
    """The route's endpoint of a page."""

    def answer(request: Request) -> Response:
        try:
            found = page(site, request)
        except (Problem, GlasshouseError) as problem:
            return _declined(site, request, problem)
        return found if isinstance(found, Response) else respond(site, request, found)

    answer.__doc__ = page.__doc__
    return answer


def form_endpoint(site: Site, work: Sent, *, of_visit: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """The route's endpoint of a form, which is one of this server's own pages or refused. of_visit: as `forms.read`."""

    async def answer(request: Request) -> Response:
        try:
            fields = await forms.read(request, of_visit=of_visit)
            if iscoroutinefunction(work):
                found = await work(site, request, fields)
            else:
                found = await run_in_threadpool(work, site, request, fields)
        except (Problem, GlasshouseError) as problem:
            return await run_in_threadpool(_declined, site, request, problem)
        assert isinstance(found, Response)
        return found

    answer.__doc__ = work.__doc__
    return answer


def respond(site: Site, request: Request, page: Page) -> Response:
    """The answer that shows `page`, in the form that `request` asks for."""
    if wants_json(request):
        return JSONResponse(dict(page.facts), page.status, HEADERS)
    shown = {
        **page.facts,
        **page.shown,
        "reader": _reader(request),
        "form_key": forms.session_key(request),
        "path": request.url.path,
        "as_json": with_query(request.query_params, format="json"),
        "still": request.scope.get("still", False),
        "policy": page.policy.replace("; frame-ancestors 'none'", ""),  # of frames, no page itself can say a word
    }
    html = templates().get_template(page.template).render(shown)
    headers = {**HEADERS, "Content-Security-Policy": page.policy}
    return Response(html, page.status, headers, "text/html; charset=utf-8")


def _declined(site: Site, request: Request, found: Problem | GlasshouseError) -> Response:
    """A refusal as a page for who reads HTML; programs get it as they do from every route."""
    problem = found if isinstance(found, Problem) else Problem(404, found.message)
    if "text/html" not in request.headers.get("accept", "") or wants_json(request):
        raise problem
    if problem.code == GATED:
        return _gate(site, request)
    words = {401: "That token is not known", 404: "There is nothing here", 429: "Not now"}
    facts = {"title": words.get(problem.status, "That cannot be answered"), "error": problem.message}
    answer = respond(site, request, Page("problem.html", facts, {"reader": None}, problem.status))
    answer.headers.update({**problem.headers, **(SIGN_IN if problem.status == 401 else {})})
    return answer


def _gate(site: Site, request: Request) -> Response:
    """The page of a repository whose gate is shut for the reader."""
    repo, user = asking.repository(request), asking.user(request)
    standing = AccessGate(repo).standing(user.name) if user is not None else None
    facts = {"title": str(repo.name), "address": f"/{repo.name.url_path}", "asked": standing}
    return respond(site, request, Page("gate.html", facts, status=403))


def _reader(request: Request) -> str | None:
    """Who reads, by name; None for somebody without a token, or with one that is not known."""
    try:
        user = asking.user(request)
    except Problem:
        return None
    return user.name if user else None


@cache
def templates() -> Environment:
    """The templates, every value escaped."""
    made = Environment(
        loader=PackageLoader("registry.server.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"size": size, "count": count, "day": day, "part": lambda text: quote(text, safe="")}
    made.globals |= {"style": stylesheet()[0], "query": with_query, "licences_at": LICENCES}
    return made


@cache
def script() -> tuple[str, bytes, str]:
    """(address, text, SHA-256) of the one program that a page runs, as `make browser` bundled it."""
    text = _static("check.js")
    digest = hashlib.sha256(text).hexdigest()
    return f"/glasshouse-check-{digest[:16]}.js", text, digest


def licences() -> bytes:
    """The licences of what is bundled in that program."""
    return _static("check.LICENSES.txt")


def _static(name: str) -> bytes:
    return (resources.files("registry.server.pages") / "static" / name).read_bytes()


@cache
def stylesheet() -> tuple[str, bytes]:
    """(address, text) of the one stylesheet: its address changes with its text, so a browser may keep it for ever."""
    text = _static("style.css")
    return f"/glasshouse-{hashlib.sha256(text).hexdigest()[:16]}.css", text


def with_query(asked: Mapping[str, str], **changed: str | int | None) -> str:
    """The query string of `asked` with some of it changed, or left out where it is None or empty."""
    return "?" + urlencode({key: value for key, value in {**asked, **changed}.items() if value not in (None, "")})


def size(number: int) -> str:
    """Bytes as a person reads them: `1.5 GB`."""
    value = float(number)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{number:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"


def count(number: int) -> str:
    """A count in three digits: `124 M`."""
    for unit, name in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return str(number)


def day(text: str) -> str:
    """The day of an RFC 3339 time."""
    return text[:10]
