"""Whose token this is, and the right to write that a workflow's identity buys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from registry.errors import CredentialsError, InputError
from registry.hub.client.connection import Connection
from registry.hub.reference import check_repository
from registry.variables import HF_OIDC_RESOURCE


class Account:
    """The user of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection

    def name(self) -> str:
        """The name of the user whose token this is. Raises CredentialsError without one."""
        with self._hub.reading("your account"):
            match self._hub.api.whoami():
                case {"name": str(name)}:
                    return name
                case other:
                    raise TypeError(f"it names your account {other!r:.200}")

    @contextmanager
    def rights_to(self, repo: str) -> Iterator[None]:
        """Around calls that write to `repo`: the right to that, where a workflow's identity buys it (HF_OIDC_RESOURCE).

        A Hub sells the right to one repository at a time, so each is asked for in turn; the library asks again before
        its hour is over. Where a token was given, or is stored, nothing changes. Not for several threads at once.
        Raises CredentialsError where this identity may not publish there.
        """
        asked = os.environ.get(HF_OIDC_RESOURCE)
        if not asked or self._hub.token is not None:
            yield
            return
        check_repository(repo)
        os.environ[HF_OIDC_RESOURCE] = repo
        try:
            self._buy(repo)
            yield
        finally:
            os.environ[HF_OIDC_RESOURCE] = asked

    def _buy(self, repo: str) -> None:
        """Have the library exchange the workflow's identity, unless it holds a token for `repo` already."""
        from huggingface_hub import get_token
        from huggingface_hub.errors import OIDCError

        try:
            with self._hub.asking(f"a token for {repo}"):
                get_token()
        except (CredentialsError, InputError) as problem:
            if isinstance(problem.__cause__, OIDCError):
                raise
            raise CredentialsError(
                problem.message,
                mend=f"let {repo} trust this workflow (Trusted Publishers in its settings; on a server of your own "
                "`glasshouse hub token trust`), or unset HF_OIDC_RESOURCE and set HF_TOKEN",
            ) from problem
