"""What the instance answers when it declines a request."""

from __future__ import annotations


class Rejected(Exception):
    """The request is declined, with the HTTP status a real service would give."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
