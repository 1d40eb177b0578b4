"""Answers that more than one route gives."""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response

from registry.server.problems import Problem


def declined(problem: Problem, *, plain: bool = False) -> Response:
    """A refusal as the Hub's clients read it; what a header cannot carry is left out of the header.

    plain: in words, not in JSON. Git shows a body to people only where it is text.
    """
    headers = {"X-Error-Message": "".join(c if " " <= c <= "~" else "?" for c in problem.message[:500]).strip()}
    headers |= problem.headers
    if problem.code is not None:
        headers["X-Error-Code"] = problem.code
    if plain:
        return PlainTextResponse(f"{problem.message}\n", problem.status, headers)
    return JSONResponse({"error": problem.message, **problem.extra}, problem.status, headers)
