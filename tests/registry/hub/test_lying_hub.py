"""A Hub that lies, in each way of `tests.lying_hub`: the answer is Unavailable (3), or where it is a proven lie 1.

All in this process, with times that are short: what is bounded by seconds is bounded by parts of one here.
"""

from __future__ import annotations

import os
import resource
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace

import httpx2
import pytest
from huggingface_hub.utils import _http

from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.hub import transfer
from registry.hub.client import HubClient, bounds
from tests.lying_hub import BEHAVIOURS, COMMIT, FILES, INFO, LISTING, OTHER, REPO, Handler, entry, served

PROVEN = {"resolve: more_than_listed"}
"""Whoever sends other bytes than it lists has lied: 1, not 3."""
WATCHDOG = 20.0
MEMORY = 300 << 20


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits, and pages end soon."""
    monkeypatch.setattr(bounds, "SILENCE", 0.3)
    monkeypatch.setattr(bounds, "WHOLE", 0.5)
    monkeypatch.setattr(bounds, "MAX_PAGES", 20)
    for module in (_http, transfer):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setenv("HF_TOKEN", "secret")


@pytest.fixture
def bounded() -> Iterator[None]:
    """Around a lie: how long it may take, and how much more memory this process may have had."""
    started, before = monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert monotonic() - started < WATCHDOG
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < MEMORY


def everything(hub: HubClient, folder: Path) -> None:
    """What a verification asks of a Hub, one thing after the other."""
    commit = hub.refs.resolve(REPO, "main")
    hub.trees.download(REPO, commit, folder)
    hub.refs.branches(REPO)
    hub.refs.history(REPO)


def test_the_honest_one_is_believed(tmp_path: Path) -> None:
    with served() as hub:
        everything(HubClient(hub.url), tmp_path / "release")
    assert {path.name: path.read_bytes() for path in (tmp_path / "release").iterdir()} == FILES


@pytest.mark.parametrize("lie", BEHAVIOURS)
def test_a_lie_is_told_in_our_words_and_leaves_nothing(lie: str, tmp_path: Path, bounded: None) -> None:
    with served(BEHAVIOURS[lie]) as hub, pytest.raises(GlasshouseError) as caught:
        everything(HubClient(hub.url), tmp_path / "release")
    assert caught.value.exit_code == (1 if lie in PROVEN else 3), caught.value
    if not lie.startswith(("refs", "commits")):
        assert list(tmp_path.iterdir()) == []


def test_the_page_on_trust_counts_the_lies() -> None:
    page = Path(__file__).parents[3] / "docs" / "explanation" / "trust.md"
    assert f"A Hub that lies in {len(BEHAVIOURS)} ways" in page.read_text(encoding="utf-8")


def test_pull_requests_without_end_and_of_no_type() -> None:
    page = {"count": 10**9, "start": 0, "discussions": []}
    pull = {"num": "1", "title": 5, "author": {"name": "x"}, "status": "open", "createdAt": "2026-01-01T00:00:00.000Z"}
    pull |= {"isPullRequest": True, "repo": {"name": REPO, "type": "model"}}

    def always_more(request: Handler) -> bool:
        if request.about("discussions"):
            request.json(page)
        return request.about("discussions")

    def odd(request: Handler) -> bool:
        if request.about("discussions"):
            request.json({"count": 1, "start": 0, "discussions": [pull]})
        return request.about("discussions")

    for behaviour in (always_more, odd):
        with served(behaviour) as hub, pytest.raises(Unavailable, match="does not answer as a Hub does"):
            HubClient(hub.url).pulls.list(REPO)


def test_a_name_that_is_none_is_nobodys() -> None:
    def nameless(request: Handler) -> bool:
        if request.about("whoami"):
            request.json({"name": ["x"]})
        return request.about("whoami")

    with served(nameless) as hub, pytest.raises(Unavailable, match="names your account"):
        HubClient(hub.url, "secret").account.name()


def test_a_commit_is_answered_by_that_commit(tmp_path: Path) -> None:
    with served() as hub:
        assert HubClient(hub.url).refs.resolve(REPO, COMMIT) == COMMIT
        with pytest.raises(VerificationError, match=f"asked for commit {OTHER}.* names {COMMIT}"):
            HubClient(hub.url).refs.resolve(REPO, OTHER)


def test_a_silent_file_is_waited_for_once_and_a_broken_one_again(tmp_path: Path) -> None:
    with served(BEHAVIOURS["resolve: never_answers"]) as hub, pytest.raises(transfer.Silent):
        HubClient(hub.url).files.read(REPO, COMMIT, "README.md", max_bytes=100)

    tries: list[str] = []

    def broken(request: Handler) -> bool:
        if not request.about("resolve/") or len(tries) > 2:
            return False
        tries.append(request.path)
        request.begin(Content_Length="10")
        request.wfile.write(b"# A ")
        request.close_connection = True
        return True

    with served(broken) as hub:
        received: list[bytes] = []
        source = HubClient(hub.url).files.source(REPO, COMMIT)
        transfer.read(source, transfer.RemoteFile("README.md", 10, None, ""), received.append)
    assert b"".join(received) == FILES["README.md"]


def test_a_token_goes_to_its_endpoint_and_nowhere_else(tmp_path: Path) -> None:
    with served() as other:

        def next_page_elsewhere(request: Handler) -> bool:
            if request.about("tree/"):
                request.json(LISTING, Link=f'<{other.url}{request.path}>; rel="next"')
            return request.about("tree/")

        with served(next_page_elsewhere) as hub, pytest.raises(Unavailable, match="next page"):
            HubClient(hub.url, "secret").files.list(REPO, COMMIT)
        assert ("Bearer secret" in str(hub.seen)) and other.seen == []

        def file_elsewhere(request: Handler) -> bool:
            if request.about("resolve/"):
                request.send(b"", 302, Location=f"{other.url}{request.path}")
            return request.about("resolve/")

        with served(file_elsewhere) as hub:
            HubClient(hub.url, "secret").trees.download(REPO, COMMIT, tmp_path / "release")
        assert {token for _, token in hub.seen} == {"Bearer secret"}
        assert other.seen and {token for _, token in other.seen} == {None}

        other.seen.clear()
        with served() as hub:
            api = HubClient(hub.url, "secret").connection.api
            _http.get_session().get(f"{other.url}/verify", headers=api._build_hf_headers())  # an href that it gave
        assert [token for _, token in other.seen] == [None]


def test_a_server_is_its_scheme_host_and_port() -> None:
    same = {bounds._origin(httpx2.URL(url)) for url in ("https://Hub.example", "https://hub.example:443/a?b")}
    assert same == {"https://hub.example"}
    for other in ("http://hub.example", "https://hub.example:444", "https://hub.example.org", "https://[::1]:443"):
        assert bounds._origin(httpx2.URL(other)) not in same


def test_a_listing_without_end_ends_at_its_limit() -> None:
    def many(request: Handler) -> bool:
        if request.about("tree/"):
            page = len(request.server.hub.seen)
            listing = [entry(f"{page}-{n}") for n in range(100)]
            request.json(listing, Link=f'<{request.server.hub.url}{request.path}{page}>; rel="next"')
        return request.about("tree/")

    with served(many) as hub:
        with pytest.raises(GlasshouseError, match="more than the 250 files"):
            HubClient(hub.url).files.list(REPO, COMMIT, transfer.Limits(files=250))
        assert len(hub.seen) == 3


def test_what_takes_long_to_send_is_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAKING", 1.0)

    def slow(request: Handler) -> bool:
        for _ in range(16):
            request.rfile.read(1 << 20)
            sleep(0.1)
        request.send(b"{}")
        return True

    with served(slow) as hub:
        _ = HubClient(hub.url).connection.api
        assert _http.get_session().put(hub.url, content=bytes(16 << 20)).status_code == 200

    def silent(request: Handler) -> bool:
        request.stall()
        return True

    with (
        served(silent) as hub,
        pytest.raises(transfer.Silent, match=r"^http://127\.0\.0\.1:\d+ does not answer"),
    ):
        _ = HubClient(hub.url).connection.api
        _http.get_session().put(hub.url)


def test_a_disk_without_room_is_told_before_and_while_it_fills(tmp_path: Path) -> None:
    size = 8 << 40

    def huge(request: Handler) -> bool:
        if request.about("tree/"):
            lfs = {"oid": "a" * 64, "size": size, "pointerSize": 134}
            request.json([entry("model.safetensors", size=size, lfs=lfs)])
        return request.about("tree/")

    with served(huge) as hub:
        with pytest.raises(Unavailable, match=f"{size} bytes are listed, and the disk .* has room for") as caught:
            HubClient(hub.url).trees.download(REPO, COMMIT, tmp_path / "far" / "release")
        assert "resolve" not in str(hub.seen) and str(tmp_path) in caught.value.message

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with served() as hub:
        client = HubClient(hub.url)
        client.refs.resolve(REPO, "main")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))  # the kernel refuses what goes beyond, as a full disk
            with pytest.raises(Unavailable, match="cannot be written: File too large"):
                client.trees.download(REPO, COMMIT, tmp_path / "release")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_an_answer_of_many_files_is_not_too_much() -> None:
    siblings = [{"rfilename": f"checkpoints/step-{n:06}/model.safetensors"} for n in range(100_000)]

    def large(request: Handler) -> bool:
        if request.about("revision/"):
            request.json(INFO | {"siblings": siblings})
        return request.about("revision/")

    with served(large) as hub:
        assert HubClient(hub.url).refs.resolve(REPO, "main") == COMMIT


@pytest.mark.parametrize(("method", "law"), [("GET", "SILENCE"), ("HEAD", "SILENCE"), ("POST", "MAKING")])
def test_no_other_patience_stands_below_that_of_the_laws(method: str, law: str) -> None:
    """Where the library asks for none: a Hub hashes a large file for longer than httpx waits by itself."""
    request = bounds.BoundedClient("https://hub.example").build_request(method, "https://hub.example/lfs/complete")
    found = bounds._timeout(request)
    assert {found[kind] for kind in ("read", "write", "pool")} == {getattr(bounds, law)}


def test_authorities_are_read_once_from_each_place_that_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []

    made = httpx2.create_ssl_context(False)

    def authorities() -> ssl.SSLContext:
        read.append(os.environ.get("SSL_CERT_FILE"))
        return made

    monkeypatch.setattr(httpx2, "create_ssl_context", authorities)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    bounds._authorities.cache_clear()
    for file in ("", "", "one.pem", "one.pem", ""):
        with monkeypatch.context() as patch:
            if file:
                patch.setenv("SSL_CERT_FILE", file)
            bounds.BoundedClient("https://hub.example").close()
    bounds._authorities.cache_clear()
    assert read == [None, "one.pem"]
