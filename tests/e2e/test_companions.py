"""A release with its data and another form of its weights: cut by the command, read by the tools they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.openness.cards.data_set import COLUMNS
from tests.conftest import Project
from tests.e2e.conftest import DATA, GGUF, MODEL
from tests.e2e.test_loading import program
from tests.hub_instance import HubInstance


@pytest.fixture(scope="module")
def cut(accompanied: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """Cut on a Hub of its own: (the environment of its clients, the public key)."""
    root = tmp_path_factory.mktemp("companions")
    private, public = root / "private.pem", root / "public.pem"
    accompanied.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private))
    accompanied.run("openssl", "ec", "-in", str(private), "-pubout", "-out", str(public))
    with HubInstance.start(root / "hub") as hub:
        environment = dict(hub.environment(root / "huggingface"))
        accompanied.run("glasshouse", "release", "cut", "--key", str(private), variables=environment)
        again = accompanied.run("glasshouse", "release", "cut", variables=environment)
        assert "nothing changed since v1.0.0" in again.stdout
        yield environment, public


def test_the_release_verifies_with_all_that_belongs_to_it(
    accompanied: Project, cut: tuple[dict[str, str], Path]
) -> None:
    environment, public = cut
    words = ("glasshouse", "verify", f"hf://{MODEL}@v1.0.0", "--key", str(public), "--json")
    report = json.loads(accompanied.run(*words, "--companions", variables=environment).stdout)
    assert report["verdict"] == "PASS"
    subjects = {check["subject"] for check in report["checks"]}
    assert {f"hf://{DATA}@v1.0.0", f"hf://{GGUF}@v1.0.0"} <= subjects
    done = accompanied.run(*words, check=False, variables=environment)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (3, "UNKNOWN")


def test_datasets_loads_the_data_by_its_tag(accompanied: Project, cut: tuple[dict[str, str], Path]) -> None:
    code = (
        "from datasets import load_dataset as l\n"
        f"d = l('{DATA.removeprefix('datasets/')}', revision='v1.0.0', split='train')\n"
        "print(d.num_rows, d.column_names)"
    )
    rows, names = accompanied.run("python", "-c", code, variables=cut[0]).stdout.split(" ", 1)
    summary = json.loads((accompanied.root / "build/corpus/data-manifest.json").read_text())
    assert int(rows) == sum(split["documents"] for split in summary["splits"].values()) and names.strip() == str(
        [*COLUMNS]
    )


def test_transformers_loads_the_gguf_by_its_tag_and_says_what_the_release_says(
    accompanied: Project, cut: tuple[dict[str, str], Path]
) -> None:
    code = (
        "import torch\n"
        "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T\n"
        "there = dict(revision='v1.0.0', gguf_file='small-F32.gguf')\n"
        f"m, t = M.from_pretrained('{MODEL}', revision='v1.0.0'), T.from_pretrained('{MODEL}', revision='v1.0.0')\n"
        f"g, u = M.from_pretrained('{GGUF}', dtype=torch.float32, **there), T.from_pretrained('{GGUF}', **there)\n"
        "text = 'glass house window pane 2026'\n"
        "assert t(text)['input_ids'] == u(text)['input_ids']\n"
        "rows = t(text, return_tensors='pt').input_ids[:, :16]\n"
        "assert torch.equal(m(rows).logits, g(rows).logits)\n"
        "print(u.decode(g.generate(rows[:, :4], max_new_tokens=5)[0]))"
    )
    assert accompanied.run("python", "-c", code, variables=cut[0]).stdout.startswith("glass")


@pytest.mark.parametrize(
    ("heading", "more", "told"),
    [
        ("datasets", "print(data.num_rows > 30, [*data.features])", f"True {[*COLUMNS]}"),
        ("llama.cpp", "", "/small-F32.gguf"),
    ],
)
def test_what_belongs_to_it_is_fetched_and_compared_before_it_is_loaded(
    accompanied: Project, cut: tuple[dict[str, str], Path], tmp_path: Path, heading: str, more: str, told: str
) -> None:
    environment, public = cut
    signer = {"kind": "key", "pem": public.read_text()}
    (tmp_path / "policy.yaml").write_text(json.dumps({"schema": "glasshouse.policy/v1", "signers": [signer]}))
    text = program(heading)
    for shown, ours in {
        "hf://org/model@v1.0.0": f"hf://{MODEL}@v1.0.0",
        "datasets/org/model-data": DATA,
        "org/model-GGUF": GGUF,
        "policy.yaml": str(tmp_path / "policy.yaml"),
    }.items():
        text = text.replace(shown, ours)
    variables = {**environment, "GLASSHOUSE_CACHE": str(tmp_path / "store")}
    assert told in accompanied.run("python", "-c", f"{text}\n{more}", variables=variables).stdout


def test_the_hub_s_own_readers_take_the_metadata(accompanied: Project, cut: tuple[dict[str, str], Path]) -> None:
    import yaml
    from huggingface_hub import DatasetCard, ModelCard, parse_eval_result_entries

    release = accompanied.root / "releases/small/v1.0.0"
    beside = release.with_name("companions-v1.0.0")
    model = ModelCard.load(release / "README.md").data
    assert (model.license, model.pipeline_tag, model.library_name) == ("apache-2.0", "text-generation", "transformers")
    assert model.datasets == [DATA.removeprefix("datasets/")] and model.language == ["en"]
    (result,) = parse_eval_result_entries(yaml.safe_load((release / ".eval_results/validation.yaml").read_text()))
    evaluation = json.loads((release / "provenance/evaluation.json").read_text())
    assert result.dataset_id == DATA.removeprefix("datasets/")
    assert result.value == evaluation["metrics"]["bitsPerByte"]
    assert DatasetCard.load(beside / DATA.replace("/", "--") / "README.md").data.license == "cc0-1.0"
    gguf = ModelCard.load(beside / GGUF.replace("/", "--") / "README.md").data
    assert (gguf.base_model, gguf.to_dict()["base_model_relation"]) == (MODEL, "quantized")


def test_croissant_is_read_by_its_own_library(accompanied: Project, cut: tuple[dict[str, str], Path]) -> None:
    path = accompanied.root / "releases/small/companions-v1.0.0" / DATA.replace("/", "--") / "croissant.json"
    code = (
        "import mlcroissant, json\n"
        f"d = mlcroissant.Dataset(jsonld={str(path)!r})\n"
        "issues = d.metadata.ctx.issues\n"
        "rows = list(d.records(record_set='documents'))\n"
        "print(json.dumps([list(issues.errors), list(issues.warnings), len(rows), rows[0]['documents/text'].decode()]))"
    )
    errors, warnings, rows, text = json.loads(accompanied.run("python", "-W", "ignore", "-c", code).stdout)
    assert errors == warnings == [] and rows > 30 and text.startswith("Text ")
