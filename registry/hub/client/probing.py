"""One question to a Hub: is it there, whom does it take one for, and what time is it?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from registry import canonical
from registry.errors import InputError, Unavailable
from registry.hub.client.connection import Connection

SECONDS = 5.0
MAX_BYTES = 1 << 16
"""Read of the answer."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a Hub answered.

    endpoint: its address.  token: whether it was shown one.  user: whose it is; None where it takes it for nobody's.
    date: the Hub's own time, in UTC; None where it does not say.
    """

    endpoint: str
    token: bool
    user: str | None
    date: datetime | None


def probe(endpoint: str | None, token: str | None = None) -> Probe:
    """Ask the Hub at `endpoint`, as `Connection` takes both. Raises Unavailable where no Hub answers there in time."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    connection = Connection(endpoint, token)
    with connection.reaching("your account"):
        headers = build_hf_headers(token=connection.api.token, library_name="glasshouse")
        url = f"{connection.endpoint}/api/whoami-v2"
        with get_session().stream("GET", url, headers=headers, timeout=SECONDS) as answer:
            body = next(answer.iter_bytes(MAX_BYTES), b"")
    name = _name(body) if answer.status_code == 200 else None
    if answer.status_code != 401 and name is None:
        raise Unavailable(
            f"{connection.endpoint} does not answer as a Hub does: HTTP status {answer.status_code}, {body[:80]!r}",
            mend="check the endpoint, and HF_ENDPOINT",
        )
    return Probe(connection.endpoint, "authorization" in headers, name, _date(answer.headers.get("date")))


def _name(body: bytes) -> str | None:
    """Whose account the answer describes; None where it describes none."""
    try:
        said = canonical.parse(body, name="the answer")
    except InputError:
        return None
    match said:
        case {"name": str(name)}:
            return name[:200]
    return None


def _date(said: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(said or "").astimezone(UTC)
    except ValueError:
        return None
