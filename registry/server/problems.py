"""What the server says no with: a status, a sentence, and the code that the Hub's clients look for."""

from __future__ import annotations

from starlette.responses import JSONResponse

REPO_NOT_FOUND = "RepoNotFound"
REVISION_NOT_FOUND = "RevisionNotFound"
ENTRY_NOT_FOUND = "EntryNotFound"


class Problem(Exception):
    """A request that is declined.

    status: a 4xx, for clients try again after a 5xx.  code: for X-Error-Code, or None.  extra: more of the body.
    headers: more of them.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        extra: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message.encode("utf-8", "replace").decode()
        self.code = code
        self.extra = extra or {}
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """The answer as the Hub's clients read it; what a header cannot carry is left out of the header."""
        headers = {"X-Error-Message": "".join(c if " " <= c <= "~" else "?" for c in self.message[:500]).strip()}
        headers |= self.headers
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.extra}, self.status, headers)
