"""An endpoint and a token, and the library between us and it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from registry.errors import InputError, Unavailable
from registry.hub.faults import asking, reaching, setting_up
from registry.hub.reference import DATASETS, check_repository, is_commit
from registry.variables import HF_ENDPOINT, OTHER_HUB, OTHER_TOKEN

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC_HUB = "https://huggingface.co"


class Connection:
    """A Hub, as one user.

    endpoint: its address; None takes HF_ENDPOINT, or the public Hub.
    token: None takes the one that `hf auth login` or HF_TOKEN left, or that the Hub gives for a workflow's identity
    (HF_OIDC_RESOURCE), but only where the endpoint is the one that HF_ENDPOINT names (else the public Hub): a stored
    token is never sent to another server. The one in GLASSHOUSE_OTHER_TOKEN is for GLASSHOUSE_OTHER_HUB alone.
    Raises InputError for an endpoint that is not an address.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        ambient = (os.environ.get(HF_ENDPOINT) or PUBLIC_HUB).rstrip("/")
        self.endpoint = (endpoint or ambient).rstrip("/")
        self.token: str | bool | None = token if token is not None else _token_for(self.endpoint, ambient)
        if not self.endpoint.startswith(("https://", "http://")):
            raise InputError(f"{self.endpoint!r} is not the address of a Hub", mend="give https://HOST as the endpoint")

    @cached_property
    def api(self) -> HfApi:
        """The library, as this user."""
        return _library(self.endpoint, self.token)

    @contextmanager
    def asking(self, subject: str) -> Iterator[None]:
        """Around a call of the library about `subject`: what goes wrong there, in our words."""
        from registry.hub.client.bounds import one_call

        with asking(self.endpoint, subject), one_call():
            yield

    @contextmanager
    def reading(self, subject: str) -> Iterator[None]:
        """The same, where nothing is sent that could be at fault: an answer that makes no sense is the Hub's fault."""
        with self.asking(subject):
            try:
                yield
            except ValueError as problem:
                raise TypeError(str(problem)) from problem

    def reaching(self, subject: str) -> AbstractContextManager[None]:
        """Around a request of our own about `subject`: what goes wrong on the way, in our words."""
        return reaching(self.endpoint, subject)


def _token_for(endpoint: str, ambient: str) -> str | bool | None:
    """The token that the environment has for that Hub, None for the library's own, False for none at all."""
    if endpoint == ambient:
        return None
    other = (os.environ.get(OTHER_HUB) or "").rstrip("/")
    return (endpoint == other and os.environ.get(OTHER_TOKEN)) or False


def named(repo: str) -> tuple[str, str]:
    """(owner/name, kind as the library calls it)."""
    check_repository(repo)
    return repo.removeprefix(DATASETS), "dataset" if repo.startswith(DATASETS) else "model"


def commit_id(text: str | None) -> str:
    """`text`, which a Hub calls a commit. Raises Unavailable for 40 other characters than hex, or none."""
    if not isinstance(text, str) or not is_commit(text):
        raise Unavailable(f"the Hub names {str(text)[:80]!r} as a commit", mend="check the endpoint")
    return text


def _library(endpoint: str, token: str | bool | None) -> HfApi:
    """The library, told to give up in the end (see `bounds`), and to be silent: our own bars tell what is sent."""
    from huggingface_hub import HfApi, set_client_factory
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from registry.hub.client.bounds import OURS, BoundedClient

    disable_progress_bars()

    def client() -> BoundedClient:
        with setting_up(endpoint):
            return BoundedClient(endpoint)

    set_client_factory(client)
    return HfApi(endpoint=endpoint, token=token, library_name=OURS)
