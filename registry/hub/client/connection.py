"""An endpoint and a token, and the library between us and it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from registry.digest import CHUNK
from registry.errors import CredentialsError, InputError, Unavailable
from registry.hub.faults import asking, reaching, setting_up
from registry.hub.reference import DATASETS, check_repository, is_commit

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC_HUB = "https://huggingface.co"
RESOURCE = "HF_OIDC_RESOURCE"
"""Where the library reads which repository a workflow's identity is to buy the right to."""
CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0
"""A commit of many files is answered when all of it is done."""


class Connection:
    """A Hub, as one user.

    endpoint: its address; None takes HF_ENDPOINT, or the public Hub.
    token: None takes the one that `hf auth login` or HF_TOKEN left, or that the Hub gives for a workflow's identity
    (HF_OIDC_RESOURCE), but only where the endpoint is the one that HF_ENDPOINT names (else the public Hub): a stored
    token is never sent to another server.

    Every call raises InputError for what is not there, CredentialsError where a token is needed, and Unavailable where
    the Hub does not answer; `faults.py` has the whole list.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        ambient = (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
        self.endpoint = (endpoint or ambient).rstrip("/")
        self._token: str | bool | None = token if token is not None else (None if self.endpoint == ambient else False)
        if not self.endpoint.startswith(("https://", "http://")):
            raise InputError(f"{self.endpoint!r} is no address of a Hub", mend="give https://HOST as the endpoint")

    @cached_property
    def _api(self) -> HfApi:
        return _library(self.endpoint, self._token)

    @contextmanager
    def rights_to(self, repo: str) -> Iterator[None]:
        """Around calls that write to `repo`: the right to that, where a workflow's identity buys it (HF_OIDC_RESOURCE).

        A Hub sells the right to one repository at a time, so each is asked for in turn; the library asks again before
        its hour is over. Where a token was given, or is stored, nothing changes. Not for several threads at once.
        Raises CredentialsError where this identity may not publish there.
        """
        asked = os.environ.get(RESOURCE)
        if not asked or self._token is not None:
            yield
            return
        check_repository(repo)
        os.environ[RESOURCE] = repo
        try:
            self._buy(repo)
            yield
        finally:
            os.environ[RESOURCE] = asked

    def _buy(self, repo: str) -> None:
        """Have the library exchange the workflow's identity, unless it holds a token for `repo` already."""
        from huggingface_hub import get_token
        from huggingface_hub.errors import OIDCError

        try:
            with asking(self.endpoint, f"a token for {repo}"):
                get_token()
        except (CredentialsError, InputError) as problem:
            if isinstance(problem.__cause__, OIDCError):
                raise
            raise CredentialsError(
                problem.message,
                mend=f"let {repo} trust this workflow (Trusted Publishers in its settings; on a server of your own "
                "`glasshouse hub token trust`), or unset HF_OIDC_RESOURCE and set HF_TOKEN",
            ) from problem

    @contextmanager
    def _stream(
        self, repo: str, commit: str, path: str, offset: int, count: int | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A `transfer.Source`, for one repository and commit; with `count`, no more bytes than that are asked for."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        name, kind = named(repo)
        api = self._api
        url = hf_hub_url(name, path, repo_type=kind, revision=commit, endpoint=self.endpoint)
        with reaching(self.endpoint, f"{path} of {repo}"):
            headers = build_hf_headers(token=api.token, library_name=api.library_name) | {"Accept-Encoding": "identity"}
            if offset or count is not None:
                headers["Range"] = f"bytes={offset}-{'' if count is None else offset + count - 1}"
            with get_session().stream("GET", url, headers=headers) as response:
                hf_raise_for_status(response)
                yield (offset if response.status_code == 206 else 0), response.iter_bytes(CHUNK)


def named(repo: str) -> tuple[str, str]:
    """(owner/name, kind as the library calls it)."""
    check_repository(repo)
    return repo.removeprefix(DATASETS), "dataset" if repo.startswith(DATASETS) else "model"


def commit_id(text: str | None) -> str:
    """`text`, which a Hub calls a commit. Raises Unavailable for 40 other characters than hex, or none."""
    if text is None or not is_commit(text):
        raise Unavailable(f"the Hub names {str(text)[:80]!r} as a commit", mend="check the endpoint")
    return text


def _library(endpoint: str, token: str | bool | None) -> HfApi:
    """The library, told to give up in the end, and to be silent: our own bars tell what is sent."""
    import httpx2
    from huggingface_hub import HfApi, set_client_factory
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
    from huggingface_hub.utils._http import default_client_factory

    disable_progress_bars()

    def client() -> httpx2.Client:
        with setting_up(endpoint):
            made = default_client_factory()
        made.timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)  # the library would wait for ever
        return made

    set_client_factory(client)
    return HfApi(endpoint=endpoint, token=token, library_name="glasshouse")
