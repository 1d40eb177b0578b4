"""Gates: anybody finds the repository, its files are for who asked and was let in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put

REPO = "lab/gated"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    with HubInstance.start(tmp_path_factory.mktemp("gates"), organizations=("lab",)) as hub:
        HfApi(hub.url, hub.token).create_repo(REPO)
        assert commit(hub, REPO, put("README.md", "---\ntags: [found]\n---\n"))[0] == 200
        yield hub


def status(hub: HubInstance, path: str, token: str) -> tuple[int, str | None]:
    found, headers, _ = ask(hub, "GET", path, token=token)
    return found, headers.get("x-error-code")


def test_who_asks_is_let_in_by_those_who_may_write(lab: HubInstance, tmp_path: Path) -> None:
    api, token = HfApi(lab.url, lab.token), lab.user("reader", Role.READ)
    api.update_repo_settings(REPO, gated="manual")
    assert [(model.id, model.gated) for model in HfApi(lab.url, token).list_models(filter="found", gated=True)] == [
        (REPO, "manual")
    ]
    files = (f"/{REPO}/resolve/main/README.md", f"/{REPO}/raw/main/README.md", f"/api/models/{REPO}/auth-check")
    for path in (*files, f"/{REPO}"):
        assert status(lab, path, "") == (401, "GatedRepo") and status(lab, path, token) == (403, "GatedRepo")
        assert status(lab, path, lab.token)[0] == 200
    assert status(lab, f"/api/models/{REPO}", "")[0] == status(lab, f"/api/models/{REPO}/tree/main", "")[0] == 200
    with pytest.raises(GatedRepoError):
        hf_hub_download(REPO, "README.md", endpoint=lab.url, token=token, cache_dir=tmp_path / "cache")
    clone = ["git", "clone", "-q", f"{lab.url.replace('://', f'://x:{token}@')}/{REPO}"]
    assert subprocess.run([*clone, str(tmp_path / "no")], capture_output=True, check=False).returncode != 0
    for path, body in ((f"/{REPO}.git/info/lfs/objects/batch", {"operation": "download", "objects": []}),
                       (f"/api/models/{REPO}/duplicate", {"repository": "reader/copy"}),
                       (f"/api/models/{REPO}/discussions", {"title": "x", "pullRequest": True})):  # fmt: skip
        assert ask(lab, "POST", path, body, token=token)[0] == 403
    assert [ask(lab, "POST", f"/{REPO}/ask-access", token=who)[0] for who in ("", token, token)] == [401, 200, 200]
    (asked,) = api.list_pending_access_requests(REPO)
    assert asked.username == "reader"
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(lab.url, token).accept_access_request(REPO, "reader")
    api.accept_access_request(REPO, request_id=asked.request_id)
    assert Path(hf_hub_download(REPO, "README.md", endpoint=lab.url, token=token, cache_dir=tmp_path / "c")).exists()
    assert subprocess.run([*clone, str(tmp_path / "yes")], capture_output=True, check=False).returncode == 0
    api.reject_access_request(REPO, "reader", rejection_reason="no")
    assert status(lab, files[0], token) == (403, "GatedRepo")
    assert json.loads(ask(lab, "POST", f"/{REPO}/ask-access", token=token)[2]) == {"status": "rejected"}
    with pytest.raises(HfHubHTTPError, match="already"):
        api.reject_access_request(REPO, "reader", rejection_reason="no")


def test_an_automatic_gate_lets_in_whoever_asks_by_name(lab: HubInstance) -> None:
    api, token = HfApi(lab.url, lab.token), lab.user("another", Role.READ)
    api.update_repo_settings(REPO, gated="auto")
    assert status(lab, f"/{REPO}/resolve/main/README.md", token)[0] == 403
    assert json.loads(ask(lab, "POST", f"/{REPO}/ask-access", token=token)[2]) == {"status": "accepted"}
    assert status(lab, f"/{REPO}/resolve/main/README.md", token)[0] == 200
    with pytest.raises(HfHubHTTPError, match="404"):
        api.grant_access(REPO, "nobody-here")
    lab.user("third", Role.READ)
    api.grant_access(REPO, "third")
    api.duplicate_repo(REPO, "lab/copy")
    assert api.model_info("lab/copy").gated == "auto"
    api.update_repo_settings(REPO, gated=False)
    assert status(lab, f"/{REPO}/resolve/main/README.md", "")[0] == 200
    assert ask(lab, "POST", f"/{REPO}/ask-access", token=token)[0] == 400
    with pytest.raises(HfHubHTTPError, match="no gate"):
        list(api.list_pending_access_requests(REPO))


def test_a_gate_of_unknown_words_is_kept(lab: HubInstance) -> None:
    HfApi(lab.url, lab.token).create_repo("lab/odd")
    (lab.root / "repos" / "models" / "lab" / "odd.git" / "gated").write_bytes(b"open, please")
    assert status(lab, "/lab/odd/resolve/main/.gitattributes", "") == (401, "GatedRepo")
