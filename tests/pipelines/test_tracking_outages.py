"""pipelines.tracking where MLflow is down, slow, full, damaged or a server: no stage fails, and nothing is lost."""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from pipelines import tracking
from pipelines.checkpoints import RunFolder
from pipelines.params import Params
from pipelines.tracking import sending, spool
from pipelines.tracking.__main__ import Outbox
from pipelines.tracking.entries import Begun, Ended, Evaluated, Exported, File, Measurements, parse
from registry.digest import sha256_file
from registry.errors import Malformed, Unavailable
from registry.records.checkpoint_chain import Chain, ProfileName
from tests.conftest import ROOT
from tests.mlflow_instance import free_port, mlflow_server
from tests.pipelines.small_project import params

PLAN = Chain(tokens="a" * 64, recipe="b" * 64, profile=ProfileName(name="portable", digest="c" * 64), entries=())
SETTINGS = Params.model_validate_json(json.dumps(params()))
ONE_WARNING = "warning: MLflow was not told all"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to train in, where stages find the source."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "GLASSHOUSE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def train(steps: int, meanwhile: Callable[[], None] = lambda: None) -> None:
    """What a training leaves in its folder, under the eyes of MLflow; `meanwhile` is called in the middle of it."""
    folder = RunFolder(Path("build/train"))
    folder.metrics.parent.mkdir(parents=True, exist_ok=True)
    with tracking.training(SETTINGS, PLAN, folder) as look:
        for step in range(1, steps + 1):
            with folder.metrics.open("a") as lines:
                lines.write(json.dumps({"step": step, "loss": 5 / step, "tokens": step * 64}) + "\n")
            look()
            if step == steps // 2:
                meanwhile()
        folder.environment.write_text("{}")


def export(words: str) -> str:
    """A model in build/model, made anew and registered; the SHA-256 of its weights."""
    folder = Path("build/model")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(words)
    weights = sha256_file(folder / "model.safetensors")
    tracking.registered(PLAN.recipe, "small", folder, weights)
    return weights


def command() -> subprocess.CompletedProcess[str]:
    """Send by hand what waits."""
    return subprocess.run([sys.executable, "-m", "pipelines.tracking"], capture_output=True, text=True, check=False)


def losses(uri: str) -> list[int]:
    """The steps of the one run there is."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("glasshouse")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    return sorted(metric.step for metric in client.get_metric_history(run.info.run_id, "loss"))


def until_sent() -> None:
    """Wait until nothing waits to be sent."""
    until = time.monotonic() + 60
    while spool.waiting() and time.monotonic() < until:
        time.sleep(0.1)


@contextmanager
def led_to(port: int) -> Iterator[str]:
    """A port of its own that leads to another one until the end of the block, and then nowhere."""

    ends: list[socket.socket] = []

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as far:
                ends.extend((self.request, far))
                back = threading.Thread(target=pour, args=(far, self.request), daemon=True)
                back.start()
                pour(self.request, far)
                back.join()

    def pour(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way, bind_and_activate=True) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
    for end in ends:
        with suppress(OSError):  # it is closed already
            end.shutdown(socket.SHUT_RDWR)


def test_a_server_keeps_each_version_and_what_it_missed_is_sent_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "EVERY_SECONDS", 0.0)
    with mlflow_server(tmp_path / "server", port := free_port()) as uri, ExitStack() as way:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", way.enter_context(led_to(port)))
        first = export("the first weights")
        assert "warning" not in capfd.readouterr().err

        def cut_off_half_way() -> None:
            until_sent()
            way.close()

        train(8, cut_off_half_way)
        said = capfd.readouterr().err
        assert said.count("warning") == 1 and ONE_WARNING in said and "python -m pipelines.tracking" in said
        monkeypatch.setattr(sending.Sender, "start", lambda _: None)
        export("the second weights")
        third = export("the third weights")

        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        done = command()
        assert done.returncode == 0 and "left to send: 0" in done.stdout, done.stderr
        assert "build/model/model.safetensors is another file" in done.stdout  # the second, which is no longer there
        assert losses(uri) == list(range(1, 9))
        client = MlflowClient(tracking_uri=uri)
        assert client.get_model_version_by_alias("small", "candidate").tags["glasshouse.weights"] == third
        for number, weights in enumerate((first, third), 1):
            there = Path(
                mlflow.artifacts.download_artifacts(f"models:/small/{number}", dst_path=tmp_path / str(number))
            )
            assert {file.name for file in there.iterdir()} == {"config.json", "model.safetensors"}
            assert sha256_file(there / "model.safetensors") == weights
            assert client.get_model_version("small", str(number)).tags["glasshouse.weights"] == weights


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers every request with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"full")

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as held:
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def absent() -> Iterator[str]:
    """A port that nobody listens on."""
    yield f"http://127.0.0.1:{free_port()}"


@contextmanager
def damaged() -> Iterator[str]:
    """A database that is none."""
    Path("mlflow.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    yield "sqlite:///mlflow.db"


@pytest.mark.parametrize(
    ("store", "reason"),
    [(lambda: answering(507), "507"), (silent, "timed out"), (damaged, "move it away")],
    ids=["full", "silent", "damaged"],
)
def test_a_store_that_does_not_answer_costs_a_stage_a_warning(
    store: Callable[[], AbstractContextManager[str]],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with store() as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        export("weights")
    said = capfd.readouterr().err
    assert said.count("warning") == 1 and ONE_WARNING in said and reason in said, said
    assert "Traceback" not in said and "secret" not in said
    assert len(spool.waiting()) == 1


@pytest.mark.parametrize(
    ("store", "reason"),
    [(lambda: answering(401), "401"), (lambda: answering(500), "500"), (lambda: answering(503), "503"),
     (absent, "Connection refused")],
    ids=["401", "500", "503", "absent"],
)  # fmt: skip
def test_whatever_a_store_answers_the_entries_wait(
    store: Callable[[], AbstractContextManager[str]], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(Begun(recipe=PLAN.recipe, data="unknown", tags={}, params={}))
    with store() as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(Unavailable, match=reason) as problem:
            Outbox().send()
    assert "secret" not in str(problem.value) and len(spool.waiting()) == 1


def test_the_command_says_what_it_could_not_do() -> None:
    spool.put(Begun(recipe=PLAN.recipe, data="unknown", tags={}, params={}))
    with damaged():
        done = command()
    assert done.returncode == 3 and "Traceback" not in done.stderr and "mend: move it away" in done.stderr
    assert "left to send: 1" in done.stdout


def test_what_is_not_sent_in_time_is_ended(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    with silent() as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        export("weights")
    assert "it took nothing for" in capfd.readouterr().err


def test_a_full_folder_takes_no_more_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spool, "MAX_BYTES", 100)
    export("weights")
    assert "no room" in capfd.readouterr().err and not spool.waiting()


def test_off_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_TRACKING", "off")
    train(2)
    export("weights")
    assert not spool.FOLDER.exists() and not Path("mlflow.db").exists()


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
FILES = st.lists(st.builds(File, path=st.just("build/x"), sha256=HEX, size=st.integers(0, 99)), max_size=3).map(tuple)
FIGURES = st.dictionaries(WORDS, st.floats(-1e6, 1e6), max_size=3)
ENTRIES = st.one_of(
    st.builds(
        Begun, recipe=HEX, data=WORDS, tags=st.dictionaries(WORDS, WORDS, max_size=3),
        params=st.dictionaries(WORDS, WORDS, max_size=3),
    ),
    st.builds(Measurements, recipe=HEX, time=st.integers(0, 99), lines=st.lists(FIGURES, max_size=3).map(tuple)),
    st.builds(Ended, recipe=HEX, status=st.sampled_from(["FINISHED", "FAILED"]), files=FILES),
    st.builds(Evaluated, recipe=HEX, time=st.integers(0, 99), figures=FIGURES, files=FILES),
    st.builds(Exported, recipe=HEX, name=st.just("small"), weights=HEX, files=FILES.filter(bool)),
)  # fmt: skip


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry: Begun) -> None:
    assert parse(entry.to_bytes(), name="entry") == entry


@given(st.binary(max_size=200))
def test_no_other_bytes_are_an_entry(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data, name="entry")
