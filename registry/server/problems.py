"""What the server says no with: a status, a sentence, and the code that the Hub's clients look for."""

from __future__ import annotations

REPO_NOT_FOUND = "RepoNotFound"
REVISION_NOT_FOUND = "RevisionNotFound"
GATED = "GatedRepo"
ENTRY_NOT_FOUND = "EntryNotFound"


class Problem(Exception):
    """A request that is declined. Any room of the server raises it; `routes/answers.py` makes the answer of it.

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


def outdated() -> Problem:
    """The problem of a change to what has changed since: 412, in the words of the public Hub."""
    return Problem(412, "The branch was updated since you opened this page. Please refresh and try again.")


def busy(what: str) -> Problem:
    """The problem of a wait that has taken too long: 503, and when to ask again."""
    return Problem(503, f"{what} is busy: try again", headers={"Retry-After": "5"})
