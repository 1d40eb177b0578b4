"""Another Hub, asked on behalf of this one's readers: bounded answers, known hosts, and a token for it alone.

Laws: a file comes from the Hub itself, or from a host that was named; whoever it redirects to is held to that, too. The
token goes to the Hub's own address and nowhere else. What an answer may cost is in `bounds.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from registry import canonical
from registry.digest import CHUNK, is_sha256
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.hub.client.connection import PUBLIC_HUB
from registry.hub.faults import reaching, setting_up

if TYPE_CHECKING:
    import httpx2

STORES: Mapping[str, tuple[str, ...]] = {PUBLIC_HUB: (".huggingface.co", ".hf.co")}
"""{Hub: hosts from which it hands out files, or how their names end, with a dot}."""
MAX_REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
_LFS = "application/vnd.git-lfs+json"


@dataclass(frozen=True, slots=True)
class ToldOf:
    """What a Hub says of a repository to whomever the token makes us. name: as it spells it.  created: RFC 3339."""

    name: str
    closed: bool
    """Whether it is private there, or has a gate: strangers do not get its files."""
    created: str | None


class Upstream:
    """The Hub at `endpoint`, as whoever has `token`; as nobody, without one.

    hosts: from which else it hands out files: names, or how they end (`.example.org`). Raises InputError for an
    address that is not one.
    """

    def __init__(self, endpoint: str, token: str | None = None, hosts: Sequence[str] = ()) -> None:
        self.endpoint = endpoint.rstrip("/")
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise InputError(f"{endpoint!r} is not the address of a Hub", mend=f"such as {PUBLIC_HUB}")
        self.token = token
        self._hosts = (*STORES.get(self.endpoint, ()), *hosts)

    def about(self, kind: str, name: str) -> ToldOf | None:
        """What it says of a repository, also of one that has another name now; None for none that we may see.

        Raises Unavailable where it does not answer, or not as a Hub does.
        """
        asked = "expand[]=private&expand[]=gated&expand[]=createdAt"
        with self._get(f"{self.endpoint}/api/{kind}/{quote(name)}?{asked}", self._rights(), own=True) as answer:
            if answer.status_code in (401, 403, 404):
                return None
            told = self._json(answer)
        match told:
            case {"id": str(spelled), "private": bool(private)}:
                gate, created = told.get("gated", False), told.get("createdAt")
                return ToldOf(spelled, private or gate is not False, created if isinstance(created, str) else None)
        raise self._odd(f"it says of {name} {str(told)[:200]}")

    def file(self, kind: str, name: str, sha256: str, size: int, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a large file from `offset` on, as they come; not checked yet, and never more than `size`.

        Raises Unavailable where it does not give them.
        """
        link = self._link(kind, name, sha256, size)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._get(link, headers, own=False) as answer:
            if answer.status_code != (206 if offset else 200):
                raise self._odd(f"it answers {answer.status_code} for sha256:{sha256}")
            said = answer.headers.get("x-linked-etag", "").strip('"')
            if is_sha256(said) and said != sha256:
                raise self._odd(f"it has sha256:{said} in the place of sha256:{sha256}")
            for chunk in answer.iter_raw(CHUNK):
                offset += len(chunk)
                if offset > size:
                    raise self._odd(f"sha256:{sha256} has more than its {size} bytes there")
                yield chunk

    def _link(self, kind: str, name: str, sha256: str, size: int) -> str:
        """Where a large file is to be had. Source: git-lfs, docs/api/batch.md."""
        place = name if kind == "models" else f"{kind}/{name}"
        url = f"{self.endpoint}/{quote(place)}.git/info/lfs/objects/batch"
        body = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": sha256, "size": size}]}
        headers = self._rights() | {"Accept": _LFS, "Content-Type": _LFS}
        with self._asking(url) as client:
            answer = client.post(url, headers=headers, content=canonical.dumps(body), follow_redirects=False)
            told = self._json(answer)
        match told:
            case {"objects": [{"oid": oid, "actions": {"download": {"href": str(href)}}}]} if oid == sha256:
                return href
        raise self._odd(f"it does not give sha256:{sha256}: {str(told)[:200]}")

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str], *, own: bool) -> Iterator[httpx2.Response]:
        """An answer, after redirects to hosts that are allowed. own: only this Hub itself is."""
        with self._asking(url) as client:
            for _ in range(MAX_REDIRECTS):
                self._check(url, own=own)
                with client.stream("GET", url, headers=headers, follow_redirects=False) as answer:
                    if answer.status_code not in MOVED:
                        yield answer
                        return
                    url = str(answer.url.join(answer.headers.get("location", "")))
        raise self._odd(f"more than {MAX_REDIRECTS} redirects")

    def _check(self, url: str, *, own: bool) -> None:
        """Raise Unavailable for an address that is not one of this Hub's."""
        here, there = urlsplit(self.endpoint), urlsplit(url)
        host = (there.hostname or "").lower()
        if (there.scheme, there.netloc) == (here.scheme, here.netloc):
            return
        named = any(host.endswith(each) if each.startswith(".") else host == each for each in self._hosts)
        if own or not named or there.scheme != here.scheme or there.username:
            raise Unavailable(
                f"{self.endpoint} leads to {there.scheme}://{host[:200]}, where nothing is fetched from",
                mend=f"if that is right: --mirror-host {host[:200]}",
            )

    @contextmanager
    def _asking(self, url: str) -> Iterator[httpx2.Client]:
        from registry.hub.client.bounds import BoundedClient

        with setting_up(self.endpoint):
            made = BoundedClient(self.endpoint)
        with reaching(self.endpoint, urlsplit(url).path[:200]), made as client:
            yield client

    def _rights(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _json(self, answer: httpx2.Response) -> Any:
        if answer.status_code != 200:
            raise self._odd(f"it answers {answer.status_code}")
        try:
            return canonical.parse(answer.read(), name="the answer", max_depth=16)
        except Unavailable:
            raise
        except GlasshouseError as problem:
            raise self._odd(problem.message) from problem

    def _odd(self, found: str) -> Unavailable:
        return Unavailable(f"{self.endpoint} does not answer as a Hub does: {found}", mend="try again later")
