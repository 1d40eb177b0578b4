"""pipelines.corpus.hub against a real Hub-compatible server, by the real clients, in a process of its own.

The endpoint of huggingface_hub is settled when it is imported, so a fresh interpreter asks, once for all cases.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

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
for asked in json.loads(sys.argv[1]):
    wanted = HuggingFace.model_validate_json(json.dumps(asked))
    try:
        rows = [[one.path, one.license, one.data.decode()] for one in HubReader(wanted).documents(1000)]
        print(json.dumps([0, {"rows": rows, "source": HubReader(wanted).source.as_json()}]))
    except GlasshouseError as problem:
        print(json.dumps([problem.exit_code, problem.as_json()]))
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


Answer = tuple[int, dict[str, object]]
"""An exit code, and what is said."""
MISSING: dict[str, dict[str, object]] = {
    "the Hub has no hf://datasets/glasshouse/texts@000": {"commit": "0" * 40},
    "the Hub has no hf://datasets/glasshouse/none": {"dataset": "glasshouse/none"},
    "dev": {"splits": ["dev"]},
    "train, row 1 has no column 'content'; it has body, terms": {"text": "content"},
}
"""What is said -> what was wanted."""
TEXTLESS = {
    "it has no rows": ("nothing", "text"),
    "row 1: column 'messages' holds a chat": ("chat", "messages"),
}
"""What is said -> the data set and its column."""


@pytest.fixture(scope="module")
def answers(
    hub: tuple[HubInstance, str], others: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """What one process answers to all that is asked here."""
    instance, commit = hub
    asked: dict[str, dict[str, object]] = {
        **{words: {"license": "MIT", "commit": commit, **wanted} for words, wanted in MISSING.items()},
        **{
            words: {"dataset": f"glasshouse/{name}", "text": column, "commit": others[name], "license": "MIT"}
            for words, (name, column) in TEXTLESS.items()
        },
        "all": {"commit": commit, "splits": ["train", "test"], "license_column": "terms"},
        "the first": {"commit": commit, "limit": 1, "license": "MIT"},
        "lines": {"dataset": "glasshouse/lines", "text": "text", "commit": others["lines"], "license": "MIT"},
    }
    environment = {
        **os.environ, "HF_ENDPOINT": instance.url, "HF_TOKEN": instance.token,
        "HF_HOME": str(tmp_path_factory.mktemp("huggingface")), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    usual: dict[str, object] = {"kind": "huggingface", "dataset": "glasshouse/texts", "text": "body"}
    said = json.dumps([usual | wanted for wanted in asked.values()])
    done = subprocess.run(
        [sys.executable, "-c", READ, said], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return dict(zip(asked, (tuple(json.loads(line)) for line in lines), strict=True))


def test_a_data_set_at_its_commit(answers: dict[str, Answer]) -> None:
    code, answer = answers["all"]
    assert code == 0, answer
    assert answer["rows"] == [
        [f"{split}/{number:012d}", licence, f"{split}: {text}"]
        for split in ("test", "train")
        for number, (text, licence) in enumerate(zip(TEXTS, ["MIT", "CC0-1.0", "NOASSERTION"], strict=True))
    ]
    assert answers["the first"][1]["rows"] == [["train/000000000000", "MIT", "train: one"]]


@pytest.mark.parametrize("message", MISSING)
def test_what_the_hub_does_not_have_is_bad_input(answers: dict[str, Answer], message: str) -> None:
    code, answer = answers[message]
    assert (code, answer["code"]) == (2, "bad-input")
    assert message in str(answer["message"])


def test_a_file_of_text_is_one_document(answers: dict[str, Answer]) -> None:
    code, answer = answers["lines"]
    assert code == 0, answer
    assert answer["rows"] == [
        ["train/000000000000", "MIT", "one\ntwo\n"], ["train/000000000001", "MIT", "three\n\nfour"],
        ["train/000000000002", "MIT", ""],
    ]  # fmt: skip


@pytest.mark.parametrize("message", TEXTLESS)
def test_what_holds_no_text_is_bad_input(answers: dict[str, Answer], message: str) -> None:
    code, answer = answers[message]
    assert (code, answer["code"]) == (2, "bad-input")
    assert f"hf://datasets/glasshouse/{TEXTLESS[message][0]}" in str(answer["message"])
    assert message in str(answer["message"])
