"""pipelines.corpus.hub against a real Hub-compatible server, by the real clients, in processes of their own.

The endpoint of huggingface_hub is settled when it is imported, so each case asks a fresh interpreter.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi, constants

from tests.hub_instance import HubInstance

READ = """
import json, sys
from pipelines.corpus.hub import HubReader
from pipelines.params import HuggingFace
from registry.errors import GlasshouseError
wanted = HuggingFace.model_validate_json(sys.argv[1])
try:
    rows = [[one.path, one.license, one.data.decode()] for one in HubReader(wanted).documents(1000)]
    print(json.dumps({"rows": rows, "source": HubReader(wanted).source.as_json()}))
except GlasshouseError as problem:
    print(json.dumps(problem.as_json()))
    sys.exit(problem.exit_code)
"""
TEXTS = ["one", "zwölf", "three\n" * 3]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubInstance, str]]:
    """A server with the data set glasshouse/texts, and the commit that holds it."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "data").mkdir()
    for split in ("train", "test"):
        table = pa.table({"body": [f"{split}: {text}" for text in TEXTS], "terms": ["mit", "cc0-1.0", "made up"]})
        pq.write_table(table, folder / f"data/{split}-00000-of-00001.parquet")
    with HubInstance.start(folder / "server") as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server speaks LFS, the client would not fall back
        api = HfApi(endpoint=instance.url, token=instance.token)
        api.create_repo("glasshouse/texts", repo_type="dataset")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the library's, of its own calls
            commit = api.upload_folder(
                repo_id="glasshouse/texts", repo_type="dataset", folder_path=folder / "data", path_in_repo="data"
            )
        yield instance, commit.oid


def read(instance: HubInstance, home: Path, **wanted: object) -> tuple[int, dict[str, object]]:
    """The exit code and the answer of a process that reads what `wanted` says."""
    environment = {
        **os.environ, "HF_ENDPOINT": instance.url, "HF_TOKEN": instance.token, "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    said = json.dumps({"kind": "huggingface", "dataset": "glasshouse/texts", "text": "body", **wanted})
    done = subprocess.run(
        [sys.executable, "-c", READ, said], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_a_data_set_at_its_commit(hub: tuple[HubInstance, str], tmp_path: Path) -> None:
    instance, commit = hub
    code, answer = read(instance, tmp_path, commit=commit, splits=["train", "test"], license_column="terms")
    assert code == 0, answer
    assert answer["rows"] == [
        [f"{split}/{number:012d}", licence, f"{split}: {text}"]
        for split in ("test", "train")
        for number, (text, licence) in enumerate(zip(TEXTS, ["MIT", "CC0-1.0", "NOASSERTION"], strict=True))
    ]
    code, answer = read(instance, tmp_path, commit=commit, limit=1, license="MIT")
    assert answer["rows"] == [["train/000000000000", "MIT", "train: one"]]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"commit": "0" * 40}, "the Hub has no hf://datasets/glasshouse/texts@000"),
        ({"dataset": "glasshouse/none"}, "the Hub has no hf://datasets/glasshouse/none"),
        ({"splits": ["dev"]}, "dev"),
        ({"text": "content"}, "train, row 1 has no column 'content'; it has body, terms"),
    ],
)
def test_what_the_hub_does_not_have_is_bad_input(
    hub: tuple[HubInstance, str], tmp_path: Path, wanted: dict[str, object], message: str
) -> None:
    instance, commit = hub
    code, answer = read(instance, tmp_path, **{"commit": commit, "license": "MIT", **wanted})
    assert (code, answer["code"]) == (2, "bad-input")
    assert message in str(answer["message"])


@pytest.fixture(scope="module")
def others(hub: tuple[HubInstance, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """More data sets on the server: the commit of each."""
    instance, _ = hub
    api = HfApi(endpoint=instance.url, token=instance.token)
    chat = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    commits = {}
    for name, files in {
        "lines": {"a.txt": "one\ntwo\n", "b.txt": "three\n\nfour", "c.txt": ""},
        "nothing": {"a.jsonl": ""},
        "chat": {"a.jsonl": chat},
    }.items():
        folder = tmp_path_factory.mktemp(name)
        for path, text in files.items():
            (folder / path).write_text(text)
        api.create_repo(f"glasshouse/{name}", repo_type="dataset")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            made = api.upload_folder(repo_id=f"glasshouse/{name}", repo_type="dataset", folder_path=folder)
        commits[name] = str(made.oid)
    return commits


def test_a_file_of_text_is_one_document(hub: tuple[HubInstance, str], others: dict[str, str], tmp_path: Path) -> None:
    wanted = {"dataset": "glasshouse/lines", "text": "text", "commit": others["lines"], "license": "MIT"}
    code, answer = read(hub[0], tmp_path, **wanted)
    assert code == 0, answer
    assert answer["rows"] == [
        ["train/000000000000", "MIT", "one\ntwo\n"], ["train/000000000001", "MIT", "three\n\nfour"],
        ["train/000000000002", "MIT", ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("nothing", "text", "it has no rows"),
        ("chat", "messages", "row 1: column 'messages' holds a chat"),
    ],
)
def test_what_holds_no_text_is_bad_input(
    hub: tuple[HubInstance, str], others: dict[str, str], tmp_path: Path, name: str, column: str, message: str
) -> None:
    wanted = {"dataset": f"glasshouse/{name}", "text": column, "commit": others[name], "license": "MIT"}
    code, answer = read(hub[0], tmp_path, **wanted)
    assert (code, answer["code"]) == (2, "bad-input")
    assert f"hf://datasets/glasshouse/{name}" in str(answer["message"]) and message in str(answer["message"])
