"""What goes wrong at a Hub, in our words. Used by `client` only.

not there (404, or 401 with the code of a missing repository)   InputError
another 401, 403, no identity token where one is to be had      CredentialsError
409, 412: somebody else was faster                              Refused
408, 429, 5xx, no connection, offline mode, no Hub's answer     Unavailable
any other 4xx                                                   InputError

What an answer costs too much of is `client/bounds.py`; that is Unavailable, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from registry.errors import CredentialsError, GlasshouseError, InputError, Refused, Unavailable
from registry.variables import HF_HUB_OFFLINE, HF_OIDC_RESOURCE, HF_TOKEN

_PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that name whose certificates servers may have."""
_MISSING = ("RepoNotFound", "RevisionNotFound", "EntryNotFound")


@contextmanager
def reaching(endpoint: str, subject: str) -> Iterator[None]:
    """Around a request to `endpoint` about `subject`: every fault of the network and of HTTP becomes one of ours."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as problem:
        raise Unavailable(
            f"{subject} is at {endpoint}, and {HF_HUB_OFFLINE} keeps this machine off it",
            mend=f"unset {HF_HUB_OFFLINE}, or work on a downloaded directory",
        ) from problem
    except errors.OIDCError as problem:
        raise CredentialsError(
            f"there is no identity to ask {endpoint} for a token with: {_short(problem)}",
            mend=f"give the job `permissions: id-token: write`, or unset {HF_OIDC_RESOURCE} and set {HF_TOKEN}",
        ) from problem
    except errors.HfHubHTTPError as problem:
        raise _declined(endpoint, subject, problem) from problem
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        raise _unreached(endpoint, subject, problem) from problem


@contextmanager
def setting_up(endpoint: str) -> Iterator[None]:
    """Around the making of a client for `endpoint`: proxies and certificates that the environment names wrongly."""
    import httpx2

    try:
        yield
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as problem:
        named = CERTIFICATES if isinstance(problem, OSError) else _PROXIES
        given = " and ".join(
            sorted(name for name in os.environ if os.environ[name] and name.upper() in named)
        ) or " or ".join(named)
        raise Unavailable(
            f"{endpoint} cannot be reached with {given} as it is set: {_short(problem)}",
            mend=f"correct or unset {given}",
        ) from problem


@contextmanager
def asking(endpoint: str, subject: str) -> Iterator[None]:
    """Around a call of the library: also an answer that no Hub gives, and what the library itself refuses to send."""
    import httpx2
    from huggingface_hub import errors

    with reaching(endpoint, subject):
        try:
            yield
        except (LookupError, TypeError, AttributeError, AssertionError, RecursionError, OverflowError) as problem:
            raise _no_hub(endpoint, subject, problem) from problem
        except RuntimeError as problem:  # the library's wrapping of what broke an upload
            if isinstance(problem.__cause__, (httpx2.HTTPError, errors.OfflineModeIsEnabled)):
                raise problem.__cause__ from problem
            raise
        except ValueError as problem:
            if isinstance(problem, json.JSONDecodeError) or "alformed" in str(problem):
                raise _no_hub(endpoint, subject, problem) from problem
            raise InputError(f"{subject}: {_short(problem)}", mend="mend what the message says") from problem


def _declined(endpoint: str, subject: str, problem: Exception) -> GlasshouseError:
    """The error for an HTTP status. `problem` is a HfHubHTTPError."""
    response = getattr(problem, "response", None)
    status = response.status_code if response is not None else 0
    said = _short(getattr(problem, "server_message", None) or problem)
    if response is not None and (response.headers.get("X-Error-Code") in _MISSING or status == 404):
        return InputError(
            f"{endpoint} has no {subject}: {said}",
            mend="check its name; if it is private, log in: hf auth login",
        )
    if status in (401, 403):
        return CredentialsError(
            f"{endpoint} declines {subject}: {said}", mend=f"log in: hf auth login, or set {HF_TOKEN}"
        )
    if status in (409, 412):
        return Refused(f"{subject}: {said}", mend="look at what has changed there, and try again")
    if status in (408, 429) or status >= 500 or status == 0:
        return Unavailable(f"{endpoint} answers {status} for {subject}: {said}", mend="try again later")
    return InputError(f"{endpoint} answers {status} for {subject}: {said}", mend="mend what the message says")


def _unreached(endpoint: str, subject: str, problem: Exception) -> Unavailable:
    return Unavailable(
        f"{endpoint} cannot be reached for {subject}: {_short(problem)}", mend="check the network and the endpoint"
    )


def _no_hub(endpoint: str, subject: str, problem: Exception) -> Unavailable:
    return Unavailable(
        f"{endpoint} does not answer as a Hub does for {subject}: {_short(problem)}", mend="check the endpoint"
    )


def _short(problem: object) -> str:
    text = " ".join(str(problem).split())
    return "".join(character for character in text if character.isprintable())[:300] or type(problem).__name__
