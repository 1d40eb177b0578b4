"""Which repositories there are: found by what they say of themselves, by stock clients."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from registry.hub.client import HubClient
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload
from tests.registry.server.pages.conftest import write

CARD = """---
license: mit
language: [en, de]
tags: [tiny, "not a tag\\u0007", 7]
datasets: lab/texts
base_model: lab/big
base_model_relation: quantized
---
# A card
"""
HEADER = (
    b'{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}'
)
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(16)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server with three models and a data set."""
    with HubInstance.start(tmp_path_factory.mktemp("shelf"), organizations=("lab",)) as hub:
        config = b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}'
        write(hub.root, "lab/tiny", {"README.md": CARD.encode(), "config.json": config})
        write(hub.root, "lab/tiny", {"README.md": CARD.encode(), "config.json": config})
        write(hub.root, "lab/Bare", {"x.txt": b"x"})
        write(hub.root, "lab/hidden", {"README.md": CARD.encode()}, private=True)
        write(
            hub.root,
            "lab/texts",
            {"README.md": b"---\ntask_categories: [fill-mask]\nlanguage: en\n---\n"},
            kind="datasets",
        )
        sha256 = upload(hub, "lab/tiny", WEIGHTS)
        large = {"key": "lfsFile", "value": {"path": "model.safetensors", "oid": sha256, "size": len(WEIGHTS)}}
        assert commit(hub, "lab/tiny", large)[0] == 200
        yield hub


@pytest.fixture
def reader(shelf: HubInstance) -> HubClient:
    return HubClient(shelf.url, shelf.token)


def listed(hub: HubInstance, query: str, token: str = "") -> list[str]:
    status, _, body = ask(hub, "GET", f"/api/models?{query}", token=token)
    assert status == 200, body
    return [row["id"] for row in json.loads(body)]


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["lab/Bare", "lab/tiny"]), ("filter=mit", []), ("filter=license:mit", ["lab/tiny"]),
     ("filter=license:mit&filter=nothing", []), ("filter=tiny,transformers", ["lab/tiny"]),
     ("filter=dataset:lab/texts", ["lab/tiny"]), ("filter=base_model:quantized:lab/big&filter=de", ["lab/tiny"]),
     ("pipeline_tag=text-generation", ["lab/tiny"]), ("pipeline_tag=fill-mask", []), ("search=TINY+lab", ["lab/tiny"]),
     ("search=safetensors", ["lab/tiny"]), ("author=lab&limit=1", ["lab/Bare"]), ("author=other", []),
     ("sort=createdAt&direction=1&search=bare", ["lab/Bare"]), ("sort=lastModified&search=bare", ["lab/Bare"]),
     ("sort=num_parameters&limit=1", ["lab/tiny"]), ("num_parameters=min:7,max:7", ["lab/tiny"]),
     ("num_parameters=min:1B", []), ("num_parameters=max:0.1K", ["lab/tiny"])],
)  # fmt: skip
def test_models_are_found_by_what_they_say(shelf: HubInstance, query: str, found: list[str]) -> None:
    assert listed(shelf, query) == found


@pytest.mark.parametrize(
    "query", ["sort=likes", "sort=name%00", "direction=2", "num_parameters=7B", "num_parameters=", "gguf=true",
              "expand=inference", f"filter={'x,' * 60}", "limit=x"],
)  # fmt: skip
def test_what_is_not_offered_of_a_list_is_refused(shelf: HubInstance, query: str) -> None:
    assert ask(shelf, "GET", f"/api/models?{query}")[0] == 400


def test_private_ones_are_found_by_those_whose_they_are(shelf: HubInstance) -> None:
    assert "lab/hidden" in listed(shelf, "filter=license:mit", shelf.token)
    assert "lab/hidden" not in listed(shelf, "search=hidden")


def test_a_client_is_told_what_the_card_and_the_weights_say(shelf: HubInstance, reader: HubClient) -> None:
    api = reader.connection.api
    model = api.model_info("lab/tiny")
    assert (model.pipeline_tag, model.library_name) == ("text-generation", "transformers")
    assert model.card_data is not None and model.card_data.license == "mit"
    assert model.safetensors is not None and (dict(model.safetensors.parameters), model.safetensors.total) == (
        {"F16": 6, "F32": 1}, 7,
    )  # fmt: skip
    assert model.config == {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    told = {"tiny", "license:mit", "en", "de", "dataset:lab/texts", "base_model:lab/big", "safetensors", "transformers"}
    assert told <= set(model.tags or ()) and not {"7", "not a tag\x07"} & set(model.tags or ())
    (listed_,) = api.list_models(filter=["tiny", "transformers"], full=True, cardData=True)
    assert listed_.last_modified == model.last_modified and listed_.sha == model.sha
    assert "config.json" in {file.rfilename for file in listed_.siblings or ()} and listed_.card_data == model.card_data
    (only,) = api.list_models(filter=["tiny", "transformers"], expand=["downloads"])
    assert only.downloads is not None and only.tags is None
    assert [each.id for each in api.list_datasets(task_categories="fill-mask", language="en")] == ["lab/texts"]


def test_downloads_are_counted_and_ordered_by(shelf: HubInstance) -> None:
    for _ in range(3):
        assert ask(shelf, "GET", "/lab/tiny/resolve/main/config.json")[0] == 200
    assert ask(shelf, "HEAD", "/lab/tiny/resolve/main/config.json")[0] == 200
    assert json.loads(ask(shelf, "GET", "/api/models/lab/tiny")[2])["downloads"] == 3
    assert commit(shelf, "lab/Bare", put("y.txt"))[0] == 200  # a list is made anew
    assert listed(shelf, "sort=downloads&limit=1") == ["lab/tiny"]


def test_a_list_says_what_is_so_now(shelf: HubInstance) -> None:
    assert ask(shelf, "POST", "/api/repos/create", {"name": "late", "organization": "lab"})[0] == 200
    assert "lab/late" in listed(shelf, "")
    assert commit(shelf, "lab/late", put("README.md", "---\ntags: [newest]\n---\n"))[0] == 200
    assert listed(shelf, "filter=newest") == ["lab/late"]
    assert commit(shelf, "lab/late", put("README.md", "---\ntags: [other]\n---\n"))[0] == 200
    assert listed(shelf, "filter=newest") == []
    assert ask(shelf, "PUT", "/api/models/lab/late/settings", {"private": True})[0] == 200
    assert listed(shelf, "filter=other") == []
    assert listed(shelf, "filter=other", shelf.token) == ["lab/late"]


def test_a_pipeline_needs_no_task(shelf: HubInstance) -> None:
    """What transformers asks to find a pipeline's task by a model's name."""
    from huggingface_hub import HfApi

    info = HfApi(shelf.url).model_info("lab/tiny", expand=["pipeline_tag", "library_name"])
    assert (info.pipeline_tag, info.library_name) == ("text-generation", "transformers")
