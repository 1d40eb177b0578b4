"""Where packages come from, and what a package may know of it: with pip, and an index that wants a password."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.audit import index, view
from registry.audit.packages import Setup
from registry.audit.sandbox import Sandbox
from registry.digest import sha256_file
from registry.records.rebuild import DeclaredEnvironment

PASSWORD = "hunter2"
WALLS = [view.fault() is None]
"""As it is by default here: an environment takes its time."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://me:hunter2@index.example/simple", ""),
        ("https://hunter2@a.example/x https://b.example/y", "https://b.example/y"),
        ("http://a.example/?token=hunter2", ""),
        ("mine=https://me:hunter2@a.example/x,other=https://b.example", "other=https://b.example"),
        ("me:hunter2@proxy.example:3128", ""),
        ("/srv/wheels", "/srv/wheels"),
    ],
)
def test_addresses_with_passwords_are_not_told(value: str, expected: str) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "https_proxy"):
        told = index.public({name: value})
        assert told.get(name, "") == expected and PASSWORD not in str(told)
        assert index.hides({name: value}) == (expected != value)


def test_in_place_of_an_index_with_a_password_no_other_is_asked() -> None:
    told = index.public({"PIP_INDEX_URL": f"https://me:{PASSWORD}@a.example", "UV_DEFAULT_INDEX": "https://b.example"})
    assert told["PIP_NO_INDEX"] == "1" and "UV_NO_INDEX" not in told and "PIP_INDEX_URL" not in told


def test_what_is_not_known_to_be_no_secret_is_not_told() -> None:
    names = ("PIP_CONFIG_FILE", "UV_INDEX_MINE_PASSWORD", "PIP_CLIENT_CERT", "UV_PUBLISH_TOKEN", "NETRC", "HF_TOKEN")
    assert PASSWORD not in str(index.public(dict.fromkeys(names, PASSWORD)))
    assert not index.hides({"PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_LINK_MODE": "copy"})


def wheel() -> bytes:
    """A package that needs no building."""
    files = {
        "secretive.py": "", "secretive-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: secretive\nVersion: 1\n",
        "secretive-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "secretive-1.dist-info/RECORD": "",
    }  # fmt: skip
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def source() -> bytes:
    """A package that is built, by code that writes down what it sees; its backend is its own, so nothing is fetched."""
    backend = """
import os, pathlib, zipfile
def build_wheel(folder, settings=None, metadata=None):
    seen = repr(sorted(os.environ.items()))
    for place in (os.path.expanduser("~/.netrc"), os.environ.get("PIP_CONFIG_FILE", "")):
        seen += pathlib.Path(place).read_text() if place and os.path.exists(place) else ""
    name = "nosy-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        archive.writestr("nosy.py", f"SEEN = {seen!r}")
        archive.writestr("nosy-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: nosy\\nVersion: 1\\n")
        archive.writestr("nosy-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr("nosy-1.dist-info/RECORD", "")
    return name
"""
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in {"pyproject.toml": project, "backend.py": backend, "PKG-INFO": "Name: nosy\n"}.items():
            entry = tarfile.TarInfo(f"nosy-1/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


FILES = {"secretive-1-py3-none-any.whl": wheel(), "nosy-1.tar.gz": source()}


class Index(http.server.BaseHTTPRequestHandler):
    """An index; what lies below /private/ wants a password."""

    def do_GET(self) -> None:
        """Give a page, or a file."""
        place = self.path.strip("/").rpartition("/")[2]
        wanted = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        if self.path.startswith("/private/") and self.headers["Authorization"] != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()
            return
        body = (
            FILES.get(place)
            or "".join(f'<a href="../{name}">{name}</a>' for name in FILES if name.startswith(f"{place}-")).encode()
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if place in FILES else "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Where the index is."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def lock(folder: Path, *names: str) -> Path:
    """A lock of packages that the index has."""
    files = {name.split("-")[0]: name for name in FILES}
    lines = [f"{name}==1 --hash=sha256:{hashlib.sha256(FILES[files[name]]).hexdigest()}\n" for name in names]
    path = folder / "requirements.lock"
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("walled", WALLS)
def test_a_password_fetches_and_does_not_reach_what_is_installed(
    walled: bool, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel comes from behind the password; the code of the package that is built sees neither."""
    for name in [name for name in os.environ if name.startswith(index.INSTALLING)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{address}/public")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://me:{PASSWORD}@{address}/private")
    monkeypatch.setenv("HF_TOKEN", PASSWORD)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    text = lock(tmp_path, "secretive", "nosy")
    asked = DeclaredEnvironment(kind="pip", file=text.name, sha256=sha256_file(text))
    inside = Setup("fresh").make(asked, tmp_path, Sandbox(scratch, tmp_path, walled))
    room = inside.room("look")
    inside.run(["python", "-c", "import nosy, secretive; print(nosy.SEEN)"], room.out, log="look", room=room)
    seen = inside.log("look").read_text()
    assert f"http://{address}/public" in seen and PASSWORD not in seen
    assert [path.name for path in (scratch / "files").iterdir()] == ["secretive-1-py3-none-any.whl"]
