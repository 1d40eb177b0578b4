"""A project's store of runs, sound, damaged and away; and CPUs that give the recorded bits, or do not."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry.doctor import Condition, project
from registry.records.environment import Environment
from registry.variables import TRACKING
from tests import synthetic_release


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv(TRACKING, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def store(root: Path) -> Condition:
    (found,) = project.mlflow(root)
    assert (found.mend is None) == (str(found.verdict) == "PASS")
    return found


def test_a_store_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / project.STORE
    assert str(store(tmp_path).verdict) == "PASS" and not path.exists()
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE other (x)")
        made.commit()
        assert str(store(tmp_path).verdict) == "FAIL" and "not a store" in store(tmp_path).found
        made.execute("CREATE TABLE runs (x)")
        made.execute("INSERT INTO runs VALUES (1)")
        made.commit()
        assert store(tmp_path).found == f"{path} can be read; runs in it: 1"
        made.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(project, "SECONDS", 0.1)
        assert str(store(tmp_path).verdict) == "UNKNOWN" and "locked" in store(tmp_path).found
    path.write_bytes(b"not a database" * 1000)
    assert str(store(tmp_path).verdict) == "FAIL" and "damaged" in store(tmp_path).found
    monkeypatch.setenv(TRACKING, "off")
    assert str(store(tmp_path).verdict) == "PASS"


def test_a_store_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert str(store(tmp_path).verdict) == "UNKNOWN" and f"{TRACKING}=off" in str(store(tmp_path).mend)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    assert str(store(tmp_path).verdict) == "UNKNOWN"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{url}/")
    assert str(store(tmp_path).verdict) == "PASS"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{url}/elsewhere")
    assert str(store(tmp_path).verdict) == "UNKNOWN"
    server.shutdown()
    server.server_close()


AVX2 = {"flags": "fpu sse4_2 avx avx2 fma f16c", "model name": "A CPU"}


def recorded(profile: dict[str, Any] | None = None, **machine: Any) -> Environment:
    made = synthetic_release.environment()
    return made.model_copy(
        update={
            "machine": made.machine.model_copy(
                update={"architecture": "x86_64", "cpu": "A CPU", "features": ("avx2", "fma"), **machine}
            ),
            "profile": made.profile.model_copy(update=profile or {}),
        }
    )


PORTABLE = {"name": "portable", "settings": {"capability": "AVX2"}}
NATIVE = {"name": "native", "settings": {"capability": None}}


@pytest.mark.parametrize(
    ("there", "architecture", "here", "verdict"),
    [
        (recorded(PORTABLE), "x86_64", AVX2, "PASS"),
        (recorded(PORTABLE, cpu="Another"), "x86_64", AVX2, "PASS"),
        (recorded(PORTABLE), "x86_64", {**AVX2, "flags": "fpu avx"}, "FAIL"),
        (recorded(PORTABLE), "aarch64", AVX2, "FAIL"),
        (recorded(PORTABLE), "x86_64", {}, "UNKNOWN"),
        (recorded(NATIVE), "x86_64", AVX2, "PASS"),
        (recorded(NATIVE, cpu="Another"), "x86_64", AVX2, "UNKNOWN"),
        (recorded(NATIVE, features=("avx512f",)), "x86_64", AVX2, "UNKNOWN"),
    ],
)
def test_a_cpu_is_held_to_the_recorded_profile(
    there: Environment, architecture: str, here: dict[str, str], verdict: str
) -> None:
    found = project.fits(there, architecture, here)
    assert str(found.verdict) == verdict and (found.mend is None) == (verdict == "PASS")


def test_what_a_system_says_of_its_cpu(tmp_path: Path) -> None:
    source = tmp_path / "cpuinfo"
    assert project.facts(source) == {}
    source.write_text("processor\t: 0\nmodel name\t: A CPU\nflags\t\t: avx2 fma\n\nprocessor\t: 1\n")
    assert project.facts(source) == {"processor": "0", "model name": "A CPU", "flags": "avx2 fma"}


def test_the_training_is_found_where_the_project_says_that_its_records_are(tmp_path: Path) -> None:
    shutil.copyfile(Path(__file__).parents[3] / "params.yaml", tmp_path / "params.yaml")
    (found,) = project.cpu(tmp_path)
    assert str(found.verdict) == "UNKNOWN" and "dvc repro" in str(found.mend)
    path = tmp_path / "build/train/environment.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(recorded({"name": "portable", "settings": {}}, architecture="sparc64").to_bytes())
    (found,) = project.cpu(tmp_path)
    assert str(found.verdict) == "FAIL" and "sparc64" in found.found
