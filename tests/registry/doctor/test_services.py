"""A Hub, a token, a clock and a root of trust that are there, that are not, and that lie."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry.attest.sigstore.config import public_config
from registry.doctor import Condition, services
from registry.errors import GlasshouseError
from tests.hub_instance import HubInstance


def told(endpoint: str, now: datetime | None = None) -> dict[str, Condition]:
    found = {condition.name: condition for condition in services.hub(endpoint, now)}
    assert list(found) == ["Hub", "token", "clock"]
    return found


@pytest.fixture
def ambient(hub: HubInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment whose Hub is ours, and that holds no token yet."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    return monkeypatch


def test_a_hub_that_knows_the_token_s_holder(hub: HubInstance, ambient: pytest.MonkeyPatch) -> None:
    assert str(told(hub.url)["token"].verdict) == "UNKNOWN"
    ambient.setenv("HF_TOKEN", hub.token)
    found = told(hub.url)
    assert {str(each.verdict) for each in found.values()} == {"PASS"} and "builder" in found["token"].found
    ambient.setenv("HF_TOKEN", "hf_taken_back")
    found = told(hub.url)
    assert (str(found["Hub"].verdict), str(found["token"].verdict)) == ("PASS", "FAIL")
    assert "hf auth login" in str(found["token"].mend)


def test_a_token_is_not_shown_to_another_hub(hub: HubInstance, ambient: pytest.MonkeyPatch) -> None:
    ambient.setenv("HF_TOKEN", hub.token)
    ambient.setenv("HF_ENDPOINT", "https://hub.example")
    assert "there is none" in told(hub.url)["token"].found


@pytest.mark.parametrize(("days", "verdict"), [(0, "PASS"), (1, "FAIL"), (-400, "FAIL")])
def test_a_clock_that_goes_wrong(hub: HubInstance, ambient: pytest.MonkeyPatch, days: int, verdict: str) -> None:
    found = told(hub.url, datetime.now(UTC) + timedelta(days=days))["clock"]
    assert str(found.verdict) == verdict and (days == 0 or ("ahead" in found.found) == (days > 0))


def test_a_hub_that_is_not_there_leaves_all_three_unknown(ambient: pytest.MonkeyPatch) -> None:
    for found in told("http://127.0.0.1:9").values():
        assert str(found.verdict) == "UNKNOWN" and found.mend
    ambient.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert str(told("http://127.0.0.1:9")["Hub"].verdict) == "UNKNOWN"


ANSWERS: list[tuple[int, bytes, dict[str, str]]] = [
    (500, b"", {}), (404, b"", {}), (200, b"<html>", {}), (200, b'{"name": 7}', {}), (200, b"[]", {}), (302, b"", {}),
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_hub_is_not_taken_for_one(
    ambient: pytest.MonkeyPatch, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    with _server(*answer) as url:
        found = told(url)
    assert str(found["Hub"].verdict) == "UNKNOWN" and str(found["token"].verdict) == "UNKNOWN"


@pytest.mark.parametrize("date", ["yesterday", "", "Thu, 99 Nov 2026 00:00:00 GMT"])
def test_a_date_that_is_none_tells_no_time(ambient: pytest.MonkeyPatch, date: str) -> None:
    with _server(401, b"{}", {"Date": date}) as url:
        assert str(told(url)["clock"].verdict) == "UNKNOWN"


def test_the_root_of_trust_is_there_and_has_not_ended(tmp_path: Path) -> None:
    (found,) = services.sigstore(None)
    assert str(found.verdict) == "PASS" and "public instance" in found.found
    (found,) = services.sigstore(None, datetime(2100, 1, 1, tzinfo=UTC))
    assert str(found.verdict) == "FAIL" and found.mend
    root = tmp_path / "root.json"
    root.write_text(json.dumps({"mediaType": "x"}))
    with pytest.raises(GlasshouseError, match="does not describe a Sigstore instance"):
        list(services.sigstore(root))
    assert public_config(offline=True)


class _server:  # noqa: N801 - used as a function
    """Something that answers so, whatever it is asked."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                for name, value in ({"Content-Length": str(len(body)), "Location": "/again"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
