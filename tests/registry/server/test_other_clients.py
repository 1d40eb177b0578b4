"""Clients that are not huggingface_hub: browsers, npm's @huggingface/hub, Ollama and llama.cpp, by what they ask."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload

REPO = "lab/model"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    options = ("--origin", "https://app.example.org")
    with HubInstance.start(tmp_path_factory.mktemp("others"), organizations=("lab",), options=options) as hub:
        HfApi(hub.url, hub.token).create_repo(REPO)
        yield hub


def gguf(architecture: str, filling: int) -> bytes:
    """A GGUF file of one pair and no tensors, with bytes after it."""

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words)) + words.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("general.architecture") + struct.pack("<I", 8)
    return head + text(architecture) + bytes(filling)


def large(hub: HubInstance, path: str, data: bytes) -> str:
    line = {"key": "lfsFile", "value": {"path": path, "oid": upload(hub, REPO, data), "size": len(data)}}
    assert commit(hub, REPO, line)[0] == 200
    return str(line["value"]["oid"])  # type: ignore[index]


def test_a_gguf_file_is_pulled_as_an_image(lab: HubInstance) -> None:
    data = {
        name: gguf("llama", 100 + n) for n, name in enumerate(("tiny-Q8_0.gguf", "tiny-Q4_K_M.gguf", "mmproj-f16.gguf"))
    }
    digests = {name: large(lab, name, each) for name, each in data.items()}

    def manifest(tag: str) -> Any:
        status, headers, body = ask(lab, "GET", f"/v2/{REPO}/manifests/{tag}", token="")
        assert status == 200 and headers["docker-content-digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
        return json.loads(body)

    for tag, name in (("latest", "tiny-Q4_K_M.gguf"), ("q8_0", "tiny-Q8_0.gguf"), ("tiny-Q8_0.gguf", "tiny-Q8_0.gguf")):
        found = manifest(tag)
        assert found["ggufFile"]["rfilename"] == name  # what llama.cpp reads; then it fetches resolve/main/NAME
        (layer,) = found["layers"]
        assert layer == {"digest": f"sha256:{digests[name]}", "mediaType": "application/vnd.ollama.image.model",
                         "size": len(data[name])}  # fmt: skip
        status, _, body = ask(lab, "GET", f"/v2/{REPO}/blobs/{found['config']['digest']}", token="")
        assert status == 200 and json.loads(body)["model_family"] == "llama" and len(body) == found["config"]["size"]
        assert found["config"]["digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
        path = f"/v2/{REPO}/blobs/{layer['digest']}"
        assert ask(lab, "GET", path, token="")[2] == data[name]
        assert ask(lab, "GET", path, None, {"Range": "bytes=0-3"}, token="")[2] == b"GGUF"
        assert ask(lab, "HEAD", path, token="")[0] == 200
    assert ask(lab, "GET", "/v2/", token="")[0] == 200
    for path in (f"/v2/{REPO}/manifests/Q2_K", f"/v2/{REPO}/blobs/sha256:{'0' * 64}", f"/v2/{REPO}/blobs/x",
                 "/v2/lab/nothing/manifests/latest"):  # fmt: skip
        assert ask(lab, "GET", path, token="")[0] == 404


def test_what_only_looks_like_gguf_is_no_image(lab: HubInstance) -> None:
    large(lab, "other-F16.gguf", b"no GGUF at all" * 20)
    assert ask(lab, "GET", f"/v2/{REPO}/manifests/F16", token="")[0] == 404


def test_pages_of_a_named_origin_ask_and_no_others(lab: HubInstance) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    for origin, status, allowed in (("https://app.example.org", 200, True), ("https://evil.example", 400, False)):
        found, headers, _ = ask(
            lab, "OPTIONS", f"/api/models/{REPO}/settings", None, {"Origin": origin, **asked}, token=""
        )
        assert found == status and (headers.get("access-control-allow-origin") == origin) == allowed
        _, headers, _ = ask(lab, "GET", f"/api/models/{REPO}", None, {"Origin": origin}, token="")
        assert ("access-control-allow-origin" in headers) == allowed
        assert "access-control-allow-credentials" not in headers


def test_tokens_and_digests_are_as_npm_wants_them(lab: HubInstance) -> None:
    assert lab.user("js", Role.WRITE).startswith("hf_")
    body = {"operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha_256",
            "objects": [{"oid": "a" * 64, "size": 5}]}  # fmt: skip
    assert ask(lab, "POST", f"/{REPO}.git/info/lfs/objects/batch", body)[0] == 200
    assert ask(lab, "GET", f"/api/models/{REPO}/revision/HEAD", token="")[0] == 200


def test_gitignore_leaves_files_out(lab: HubInstance, tmp_path: Path) -> None:
    api = HfApi(lab.url, lab.token)
    folder = tmp_path / "folder"
    (folder / "nested").mkdir(parents=True)
    for name in ("kept.txt", "a.log", "nested/file.bin", "!odd.txt"):
        (folder / name).write_text("text")
    (folder / ".gitignore").write_text("nested/*\n*.log\n")
    for name in ("lab/sent", "lab/there"):
        api.create_repo(name)
    assert commit(lab, "lab/there", put(".gitignore", "nested/*\n*.log\n"))[0] == 200
    for name in ("lab/sent", "lab/there"):
        api.upload_folder(repo_id=name, folder_path=folder)
        assert set(api.list_repo_files(name)) == {".gitattributes", ".gitignore", "kept.txt", "!odd.txt"}


def test_a_card_is_looked_at_in_words_or_in_json(lab: HubInstance) -> None:
    bad = {"content": "\n---\nlicense: asdf\n---\n", "repoType": "model"}
    status, _, body = ask(lab, "POST", "/api/validate-yaml", bad, {"Accept": "text/plain"})
    assert status == 400 and body.startswith(b'- Error: "license" must be one of [')
    status, _, body = ask(lab, "POST", "/api/validate-yaml", bad)
    assert status == 400 and len(json.loads(body)["errors"]) == 1 and json.loads(body)["warnings"] == []
    long = {"content": f"---\ntags: [{'a,' * 200_000}]\n---\n"}
    assert b"the metadata has more than" in ask(lab, "POST", "/api/validate-yaml", long, token="")[2]
    status, _, body = ask(lab, "POST", "/api/validate-yaml", {"content": "# A model\n"})
    assert status == 200 and len(json.loads(body)["warnings"]) == 1
