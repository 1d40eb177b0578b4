"""Any DVC project is released with the records that it has: cut, and verified, as its people do it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from registry.files import write_atomic
from registry.project import dvc_index
from registry.records.release_record import ReleaseRecord
from tests.audited import WALLED
from tests.conftest import ROOT
from tests.registry.attest.conftest import write_key
from tests.registry.project.small_dvc import RECORD, build, commit, dvc, git, start
from tests.registry.release.model_folders import FOLDERS

COMMAND = [sys.executable, "-m", "registry"]
TRAIN = """import json, pathlib, sys
source = json.loads(pathlib.Path("model.json").read_text())
for path, data in source.items():
    place = pathlib.Path("out/model") / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(bytes.fromhex(data))
pathlib.Path("scores.json").write_text(json.dumps({"test": {"accuracy": 0.75}}))
"""
RELEASE = "release: {repo: org/small, license: MIT, model: out/model}\n"
WEIGHTS = {
    "onnx": {"model.onnx", "weights.bin"},
    "peft": {"adapter_model.safetensors"},
    "diffusers": {f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")},
}
STAGES = f"""stages:
  train:
    cmd: {RECORD} -- python train.py
    deps: [train.py, model.json]
    outs: [out/model, train.run.json]
    metrics: [scores.json]
"""


def project(root: Path, kind: str, stages: str = STAGES, **files: str) -> Path:
    """A project whose one stage writes the model of `kind`, built and committed."""
    model = json.dumps({path: data.hex() for path, data in FOLDERS[kind].items()})
    return build(
        root,
        {
            "train.py": TRAIN,
            "model.json": model,
            "dvc.yaml": stages,
            "glasshouse.yaml": RELEASE,
            "LICENSE.md": "MIT\n",
            "uv.lock": "version = 1\n",
            **files,
        },
    )


def glasshouse(root: Path, *words: str, code: int = 0) -> str:
    """What the command says in the project, which has to end in `code`; no Hub can be reached."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        [*COMMAND, *words], cwd=root, capture_output=True, text=True, env=environment | {"PATH": path}, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A private key, and its public one."""
    private = write_key(tmp_path_factory.mktemp("key") / "private.pem")
    public = private.with_name("public.pem")
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return str(private), str(public)


@pytest.mark.parametrize(
    "kind", ["onnx", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("peft", "diffusers"))]
)
def test_a_project_that_records_its_stages_passes(tmp_path: Path, key: tuple[str, str], kind: str) -> None:
    root = project(tmp_path / "project", kind)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0])
    assert "UNKNOWN" not in said
    folder = root / "releases/small/v1.0.0"
    found = json.loads(glasshouse(root, "verify", str(folder), "--key", key[1], "--json"))
    assert found["verdict"] == "PASS"
    unsaid = [check["reason"] for check in found["checks"] if check["subject"] == "not stated"]
    assert unsaid and "checkpoints" in unsaid[0]
    record, card = ReleaseRecord.read(folder / "provenance/release.json"), (folder / "README.md").read_text()
    assert record.kind == kind and {file.path for file in record.weights} == WEIGHTS[kind]
    assert "| test.accuracy | 0.75 |" in card and "text-generation" not in card.replace("pipeline_tag: text-", "")
    said = glasshouse(root, "verify", str(folder), "--key", key[1])
    assert "Not stated: the documents it was trained on, their tokens, its checkpoints" in said.splitlines()[-1]
    for never in ("make setup", "by hand", "--identity", "sha256sum"):
        assert never not in card
    if kind == "peft":
        assert "# Model Card" in card and "base_model_relation: adapter" in card
    if kind != "onnx":
        return
    (root / "note.md").write_text("More.\n")
    commit(root)
    assert "v1.0.1 stands signed" in glasshouse(root, "release", "cut", "--local", "--key", key[0])


def test_what_nobody_recorded_is_unknown_and_named(tmp_path: Path, key: tuple[str, str]) -> None:
    bare = STAGES.replace(f"{RECORD} -- ", "").replace(", train.run.json", "")
    root = project(tmp_path / "project", "gguf", bare)
    git("rm", "--quiet", "uv.lock", root=root)
    commit(root)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0])
    told = [line for line in said.splitlines() if "UNKNOWN" in line]
    assert len(told) == 3 and "packages" in told[0] and "nobody measured" in told[1] and "nobody measured" in told[2]
    said = glasshouse(root, "verify", "releases/small/v1.0.0", "--key", key[1], code=3)
    assert "could not be checked, not stated: the documents it was trained on, their tokens" in said
    assert "there is no lock of them" in (root / "releases/small/v1.0.0/README.md").read_text()


def test_weights_that_no_stage_wrote_are_never_published(tmp_path: Path, key: tuple[str, str]) -> None:
    root = project(tmp_path / "project", "pytorch")
    for path, data in FOLDERS["jax"].items():
        write_atomic(root / "mine" / path, data)
    (root / "glasshouse.yaml").write_text(RELEASE.replace("out/model", "mine"))
    commit(root)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0], code=2)
    assert "it would not verify" in said and "no stage" in said


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{repo: org/small, license: banana, model: out/model}", "neither an SPDX expression"),
        ("{repo: org/small, license: other, model: out/model}", "goes with license_name and license_link"),
        ("{repo: org/small, license: MIT, model: out/absent}", "there is no model at out/absent"),
        ("[{repo: org/a, license: MIT, model: out/model}, {repo: org/b, license: MIT, model: o}]", "--name a"),
    ],
)
def test_what_cannot_be_released_is_told(tmp_path: Path, section: str, words: str) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "glasshouse.yaml").write_text(f"release: {section}\n")
    from registry.errors import GlasshouseError
    from registry.release import config, draft

    with pytest.raises(GlasshouseError) as told:
        draft.model_at(tmp_path, config.load(tmp_path))
    assert words in f"{told.value.message} {told.value.mend}"


PAGE = ROOT / "docs/how-to/adopt.md"


def _of_page() -> tuple[dict[str, str], list[str]]:
    """The files of the page's project, and its commands in their order."""
    text = PAGE.read_text()
    files = dict(re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", text, re.DOTALL))
    return files, re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@WALLED
def test_the_page_s_project_is_adopted_in_three_commands(tmp_path: Path) -> None:
    files, commands = _of_page()
    assert len(files) == 5 and len(commands) == 4 and len(commands[1].splitlines()) == 3
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/glasshouse").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m registry "$@"\n')
    (tmp_path / "bin/glasshouse").chmod(0o755)
    root = tmp_path / "project"
    start(root, files)
    commit(root)
    path = os.pathsep.join((str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    variables = {"PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    variables |= {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    said = ""
    for command in commands:
        done = subprocess.run(
            ["sh", "-ec", command], cwd=root, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        said += done.stdout + done.stderr
        assert done.returncode == 0, said
    assert "+    cmd: glasshouse record -- python train.py" in said and "stands signed" in said
    assert "\nPASS:" in said and "\nBITWISE: 2 BITWISE of the outputs" in said
    assert "accuracy | 0.75" in (root / "releases/small/v1.0.0/README.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--repo ORG/NAME and --license SPDX"),
        (("--repo", "org/small", "--license", "banana"), "neither an SPDX expression"),
        (("--model", "train.py", "--repo", "org/small", "--license", "MIT"), "no stage of the project writes train.py"),
        (("--project", ".."), "is not a DVC project"),
    ],
)
def test_init_says_what_it_lacks(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    start(tmp_path / "project", _of_page()[0])
    assert told in glasshouse(tmp_path / "project", "init", *words, code=2)
    assert not (tmp_path / "project/glasshouse.yaml").exists()


def test_init_shows_and_writes_nothing_and_meets_a_pickle_with_what_to_do(tmp_path: Path) -> None:
    files = _of_page()[0]
    start(tmp_path, files)
    words = ("init", "--repo", "org/small", "--license", "MIT")
    shown = json.loads(glasshouse(tmp_path, *words, "--dry-run", "--json"))
    assert shown["changed"] == [".gitignore", "dvc.yaml", "glasshouse.yaml"]
    assert (tmp_path / "dvc.yaml").read_text() == files["dvc.yaml"]
    none = json.loads(glasshouse(tmp_path, *words, "--dry-run", "--json", "--record", "none"))
    assert none["changed"] == [".gitignore", "glasshouse.yaml"]
    (tmp_path / "dvc.yaml").write_text(files["dvc.yaml"].replace("out/model.safetensors", "model.pkl"))
    assert "as skops, ONNX or safetensors" in glasshouse(tmp_path, *words, code=2)


def test_data_that_dvc_files_name_is_bound_by_the_commit_and_told(tmp_path: Path, key: tuple[str, str]) -> None:
    """What `dvc add` and `dvc import` brought was UNKNOWN; beside it, files of the commit stand in one folder."""
    start(other := tmp_path / "other", {"shared.txt": "Shared.\n"})
    commit(other)
    root = tmp_path / "project"
    model = json.dumps({path: data.hex() for path, data in FOLDERS["gguf"].items()})
    files = {
        "train.py": TRAIN,
        "model.json": model,
        "data/notes.txt": "Of the commit.\n",
        "data/added.txt": "Added.\n",
        "dvc.yaml": STAGES.replace("model.json]", "model.json, data]"),
        "glasshouse.yaml": RELEASE,
        "uv.lock": "version = 1\n",
    }
    start(root, files)
    dvc("add", "--quiet", "data/added.txt", root=root)
    dvc("import", "--quiet", str(other), "shared.txt", "--out", "data/shared.txt", root=root)
    dvc("repro", root=root)
    commit(root)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0])
    assert "UNKNOWN" not in said
    folder = root / "releases/small/v1.0.0"
    found = json.loads(glasshouse(root, "verify", str(folder), "--key", key[1], "--json"))
    (stage,) = [check["reason"] for check in found["checks"] if check["subject"] == "stage train"]
    assert found["verdict"] == "PASS" and "2 by its .dvc files" in stage
    card = (folder / "README.md").read_text()
    assert "`data/added.txt.dvc`" in card and "## Inputs" in card
    commit_of = subprocess.run(["git", "rev-parse", "HEAD"], cwd=other, capture_output=True, text=True, check=True)
    assert commit_of.stdout.strip() in card
    (root / "data/stray.txt").write_text("From nowhere.\n")
    (root / ".git/info/exclude").write_text("stray.txt\n")
    dvc("repro", root=root)
    commit(root)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0])
    assert "wrote: data/stray.txt" in said


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://user:secret@e.org/a/b?token=1#x", "https://e.org/a/b"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("git@e.org:a/b.git", "git@e.org:a/b.git"),
        ("file:///home/me/a", None),
        ("/home/me/a", None),
        ("../a", None),
        (f"https://e.org/{'x' * 2000}", None),
    ],
)
def test_where_data_came_from_is_told_without_secrets(address: str, told: str | None) -> None:
    assert dvc_index.public(address) == told


def test_aliases_in_dvc_yaml_are_read_as_dvc_reads_them(tmp_path: Path, key: tuple[str, str]) -> None:
    stages = STAGES.replace("  train:\n", "  train: &train\n") + (
        "  more:\n    <<: *train\n    cmd: cp scores.json copy.json\n    deps: [scores.json]\n    outs: [copy.json]\n"
        "    metrics: []\n"
    )
    root = project(tmp_path / "project", "gguf", stages)
    said = glasshouse(root, "release", "cut", "--local", "--key", key[0])
    told = [line for line in said.splitlines() if "UNKNOWN" in line]
    assert len(told) == 1 and "stage more: nobody measured" in told[0]
