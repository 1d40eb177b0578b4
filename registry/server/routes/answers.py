"""Answers that more than one route gives."""

from __future__ import annotations

from starlette.responses import JSONResponse

from registry.server.problems import Problem


def declined(problem: Problem) -> JSONResponse:
    """A refusal as the Hub's clients read it; what a header cannot carry is left out of the header."""
    headers = {"X-Error-Message": "".join(c if " " <= c <= "~" else "?" for c in problem.message[:500]).strip()}
    headers |= problem.headers
    if problem.code is not None:
        headers["X-Error-Code"] = problem.code
    return JSONResponse({"error": problem.message, **problem.extra}, problem.status, headers)
