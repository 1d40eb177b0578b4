"""The client against the real server: what is published is exactly the folder, whatever happens on the way."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from registry.errors import CredentialsError, InputError, Refused, Unavailable
from registry.hub.client import HubClient
from registry.hub.transfer import Limits
from registry.manifest import Difference, Manifest, compare
from tests.hub_instance import HubInstance

NO_DIFFERENCE = Difference((), (), ())


def publish(client: HubClient, repo: str, folder: Path) -> str:
    return client.trees.publish(repo, folder, "Release", client.refs.head(repo))


def test_what_is_published_is_exactly_the_folder(client: HubClient, repo: str, folder: Path, tmp_path: Path) -> None:
    manifest = Manifest.of_directory(folder)
    commit = publish(client, repo, folder)

    listed = {file.path for file in client.files.list(repo, commit)}
    assert listed == manifest.by_path().keys()  # .gitattributes is gone
    assert client.trees.compare(repo, commit, manifest) == NO_DIFFERENCE
    counted: list[int] = []
    assert client.trees.download(repo, commit, tmp_path / "copy", counted.append) == manifest
    assert Manifest.of_directory(tmp_path / "copy") == manifest
    assert sum(counted) == manifest.size


def test_what_is_sent_is_told_as_it_goes(client: HubClient, repo: str, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"told" * 700_000)  # in three parts
    size = Manifest.of_directory(folder).size
    for least in (3, 1):  # the second time everything is there
        told: list[int] = []
        client.trees.publish(repo, folder, "Release", client.refs.head(repo), progress=told.append)
        assert sum(told) == size and len(told) >= least


def test_publishing_twice_makes_one_commit(client: HubClient, repo: str, folder: Path) -> None:
    parent = client.refs.head(repo)
    first = client.trees.publish(repo, folder, "Release", parent)
    assert client.trees.publish(repo, folder, "Release", parent) == first
    assert client.trees.publish(repo, folder, "Release", first) == first
    assert client.refs.head(repo) == first


def test_a_second_release_replaces_the_first(client: HubClient, repo: str, folder: Path) -> None:
    publish(client, repo, folder)
    (folder / "README.md").write_text("# Another\n")
    (folder / "empty.txt").unlink()
    (folder / "new.json").write_text("[]")
    commit = publish(client, repo, folder)
    assert client.trees.compare(repo, commit, Manifest.of_directory(folder)) == NO_DIFFERENCE


def test_somebody_elses_commit_is_not_written_over(client: HubClient, repo: str, folder: Path, tmp_path: Path) -> None:
    parent = client.refs.head(repo)
    other = tmp_path / "other"
    other.mkdir()
    (other / "theirs.txt").write_text("theirs")
    theirs = client.trees.publish(repo, other, "Theirs", parent)
    with pytest.raises(Refused, match="has moved"):
        client.trees.publish(repo, folder, "Ours", parent)
    assert client.refs.head(repo) == theirs


def test_a_commit_between_looking_and_writing_is_refused_by_the_server(
    client: HubClient, repo: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = client.refs.head(repo)
    other = tmp_path / "other"
    other.mkdir()
    (other / "theirs.txt").write_text("theirs")
    create = client.connection.api.create_commit
    rival = HubClient(client.endpoint, "loopback-token")

    def slow(*arguments: Any, **named: Any) -> Any:
        rival.trees.publish(repo, other, "Theirs", parent)
        return create(*arguments, **named)

    monkeypatch.setattr(client.connection.api, "create_commit", slow)
    with pytest.raises(Refused, match="has moved") as refusal:
        client.trees.publish(repo, folder, "Ours", parent)
    assert isinstance(refusal.value.__cause__, Refused)  # the server's 412


def test_a_lost_answer_makes_no_second_commit(
    client: HubClient, repo: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2

    create = client.connection.api.create_commit
    calls: list[str] = []

    def lossy(*arguments: Any, **named: Any) -> Any:
        calls.append(create(*arguments, **named).oid)
        raise httpx2.ReadTimeout("the answer was lost")

    monkeypatch.setattr(client.connection.api, "create_commit", lossy)
    assert [publish(client, repo, folder)] == calls


def test_an_upload_that_broke_is_finished_by_publishing_again(
    client: HubClient, repo: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import lfs

    def unplugged(*_: Any) -> Any:
        raise KeyboardInterrupt

    (folder / "model.safetensors").write_bytes(b"unplugged" * 300_000)  # three parts that nobody has sent yet
    parent = client.refs.head(repo)
    with monkeypatch.context() as patch:
        patch.setattr(lfs, "_get_completion_payload", unplugged)
        with pytest.raises(KeyboardInterrupt):
            client.trees.publish(repo, folder, "Release", parent)
    assert client.refs.head(repo) == parent  # nothing is to be seen
    commit = client.trees.publish(repo, folder, "Release", parent)
    assert client.trees.compare(repo, commit, Manifest.of_directory(folder)) == NO_DIFFERENCE


def test_a_tag_stands_for_ever(client: HubClient, repo: str, folder: Path) -> None:
    assert client.refs.tags(repo) == {}
    old = client.refs.head(repo)
    commit = publish(client, repo, folder)
    client.refs.tag(repo, "v1.0.0", commit, "Release v1.0.0")
    client.refs.tag(repo, "v1.0.0", commit, "Release v1.0.0")
    assert client.refs.tags(repo) == {"v1.0.0": commit}
    assert client.refs.resolve(repo, "v1.0.0") == commit
    with pytest.raises(Refused, match=r"v1\.0\.0"):
        client.refs.tag(repo, "v1.0.0", old, "Moved")


def test_a_flipped_byte_of_a_large_file_is_seen_by_downloading(
    hub: HubInstance, client: HubClient, repo: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "model.safetensors").write_bytes(b"flip me" * 100_000)  # a blob that no other test shares
    manifest = Manifest.of_directory(folder)
    commit = publish(client, repo, folder)
    blob = hub.blob(manifest.by_path()["model.safetensors"].sha256)
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[12_345] ^= 1
    blob.write_bytes(data)
    found = client.trees.download(repo, commit, tmp_path / "copy")
    assert compare(manifest, found).altered == ("model.safetensors",)


def test_other_files_at_the_commit_are_seen_by_verify_remote(
    client: HubClient, repo: str, folder: Path, tmp_path: Path
) -> None:
    commit = publish(client, repo, folder)
    shutil.copytree(folder, tmp_path / "signed")
    signed = tmp_path / "signed"
    (signed / "model.safetensors").write_bytes(b"\0" * 2_560_000)
    (signed / "README.md").write_text("---\nlicense: apache-2.0\n---\n# a model\n")  # of the same length
    (signed / "empty.txt").unlink()
    (signed / "missing.txt").write_text("not sent")
    difference = client.trees.compare(repo, commit, Manifest.of_directory(signed))
    assert difference == Difference(("missing.txt",), ("empty.txt",), ("README.md", "model.safetensors"))


def test_limits_hold_before_a_byte_is_fetched(client: HubClient, repo: str, folder: Path, tmp_path: Path) -> None:
    commit = publish(client, repo, folder)
    for limits in (Limits(files=3), Limits(size=2_560_000)):
        with pytest.raises(InputError, match="allowed"):
            client.trees.download(repo, commit, tmp_path / "copy", limits=limits)
    assert list(tmp_path.glob("*copy*")) == []


def test_a_download_never_writes_into_what_is_there(client: HubClient, repo: str, folder: Path, tmp_path: Path) -> None:
    commit = publish(client, repo, folder)
    with pytest.raises(InputError, match="there already"):
        client.trees.download(repo, commit, folder)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="there already"):
        client.trees.download(repo, commit, tmp_path / "link")


def test_reading_one_file_is_bounded(client: HubClient, repo: str, folder: Path) -> None:
    commit = publish(client, repo, folder)
    assert client.files.read(repo, commit, "provenance/release.json", max_bytes=10) == b"{}"
    with pytest.raises(InputError, match="more than 10 bytes"):
        client.files.read(repo, commit, "model.safetensors", max_bytes=10)
    with pytest.raises(InputError, match="has no"):
        client.files.read(repo, commit, "nothing.json", max_bytes=10)


def test_a_data_set_lives_beside_the_model_of_its_name(client: HubClient, repo: str, folder: Path) -> None:
    client.repos.ensure(f"datasets/{repo}")
    commit = publish(client, f"datasets/{repo}", folder)
    assert client.refs.head(f"datasets/{repo}") == commit != client.refs.head(repo)


def test_what_is_not_there_is_bad_input(client: HubClient, repo: str) -> None:
    with pytest.raises(InputError, match="has no"):
        client.refs.head("glasshouse/nothing")
    with pytest.raises(InputError, match=re.escape("has no")):
        client.refs.resolve(repo, "v9")
    with pytest.raises(InputError, match="no branch"):
        client.refs.head(repo, "step-1")
    with pytest.raises(InputError, match="has no"):
        client.files.list(repo, "0" * 40)
    assert client.refs.tags("glasshouse/nothing") == {}


@pytest.mark.parametrize("token", [None, "a-token-nobody-has"])
def test_writing_needs_a_token(hub: HubInstance, repo: str, folder: Path, token: str | None) -> None:
    stranger = HubClient(hub.url, token)
    with pytest.raises(CredentialsError, match="declines"):
        stranger.repos.ensure("glasshouse/mine")


def test_a_token_writes_its_own_namespace_only(client: HubClient) -> None:
    with pytest.raises(CredentialsError, match="may not"):
        client.repos.ensure("somebody-else/model")


def test_a_stored_token_is_not_sent_to_another_server(
    hub: HubInstance, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-of-another-hub")
    stranger = HubClient(hub.url)
    stranger.refs.head(repo)  # a token that the server does not know would be declined
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(CredentialsError):
        HubClient().refs.head(repo)


def test_no_hub_is_could_not_check() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    nobody = HubClient(f"http://127.0.0.1:{port}", "token")
    with pytest.raises(Unavailable, match="cannot be reached"):
        nobody.refs.head("glasshouse/model")


def test_offline_mode_is_could_not_check(client: HubClient, repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE"):
        client.refs.head(repo)


def test_an_endpoint_is_an_address() -> None:
    with pytest.raises(InputError, match="not the address"):
        HubClient("ftp://hub.example.org")
