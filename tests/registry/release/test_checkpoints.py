"""Checkpoints on a real server: each branch holds what the signed chain names, whatever happened before."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path

import pytest

from registry import canonical
from registry.digest import sha256_file
from registry.errors import DigestMismatch, InputError, Unavailable, VerificationError
from registry.hub.client import HubClient
from registry.hub.step_branches import locate
from registry.records.checkpoint_chain import Chain, Checkpoint, FileDigests, ProfileName
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, step_name
from registry.release import checkpoints
from registry.tensors import tensors_digest
from tests.conftest import Released
from tests.hub_instance import HubInstance

_NUMBERS = itertools.count()


@pytest.fixture
def client(hub: HubInstance, monkeypatch: pytest.MonkeyPatch) -> HubClient:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return HubClient(hub.url, hub.token)


@pytest.fixture
def repo() -> str:
    return f"glasshouse/checkpoints-{next(_NUMBERS)}"


def safetensors(path: Path, value: float) -> FileDigests:
    """A file of one number."""
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + struct.pack("<f", value))
    return FileDigests(file=sha256_file(path), tensors=tensors_digest(path))


def state(entry: Checkpoint) -> bytes:
    return canonical.dumps({"entry": entry.as_json()})


def training(root: Path, *, seed: float = 0.0, steps: int = 3) -> Chain:
    """A training of `steps` checkpoints below `root`, and its chain."""
    chain = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step in range(0, steps * 10, 10):
        folder = root / step_name(step)
        folder.mkdir(parents=True)
        chain = chain.extended(
            step=step,
            weights=safetensors(folder / WEIGHTS, seed + step),
            optimizer=safetensors(folder / OPTIMIZER, seed + step + 0.5),
            end=step,
            loss=1.0 if step else None,
        )
        (folder / STATE).write_bytes(state(chain.entries[-1]))
    return chain


def test_each_checkpoint_is_a_branch_with_the_files_of_the_chain(client: HubClient, repo: str, tmp_path: Path) -> None:
    chain = training(tmp_path)
    local = checkpoints.read(chain, tmp_path)
    planned = checkpoints.plan(client, repo, local)
    assert len(planned.missing) == 3 and planned.size == sum(each.manifest.size for each in local)
    assert not client.repos.exists(repo)  # planning changes nothing

    told: list[int] = []
    checkpoints.publish(client, repo, planned, told.append)

    assert sum(told) == planned.size
    assert set(client.refs.branches(repo)) == {"main", "step-000000", "step-000010", "step-000020"}
    for entry in chain.entries:
        commit = locate(client, repo, entry)
        assert commit == client.refs.head(repo, step_name(entry.step))
        assert client.files.read(repo, commit, STATE, max_bytes=1 << 20) == state(entry)
    again = checkpoints.plan(client, repo, local)
    assert again.missing == () and again.size == 0


def test_an_interrupted_publication_goes_on_where_it_stopped(
    client: HubClient, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = training(tmp_path)
    local = checkpoints.read(chain, tmp_path)
    send = client.trees.publish
    calls: list[str] = []

    def unplugged(*arguments: object, **named: object) -> str:
        if calls:
            raise Unavailable("unplugged", mend="plug in")
        calls.append(send(*arguments, **named))  # type: ignore[arg-type]
        return calls[-1]

    with monkeypatch.context() as patch:
        patch.setattr(client.trees, "publish", unplugged)
        with pytest.raises(Unavailable, match="unplugged"):
            checkpoints.publish(client, repo, checkpoints.plan(client, repo, local))
    planned = checkpoints.plan(client, repo, local)
    assert [each.branch for each in planned.standing] == ["step-000000"]
    checkpoints.publish(client, repo, planned)
    assert client.refs.head(repo, "step-000000") == calls[0]
    for entry in chain.entries:
        locate(client, repo, entry)
        assert len(client.refs.history(repo, step_name(entry.step))) == 2


def test_another_training_moves_the_branches_and_the_first_is_still_found(
    client: HubClient, repo: str, tmp_path: Path
) -> None:
    first, second = training(tmp_path / "a"), training(tmp_path / "b", seed=7.0)
    for chain, folder in ((first, tmp_path / "a"), (second, tmp_path / "b")):
        checkpoints.publish(client, repo, checkpoints.plan(client, repo, checkpoints.read(chain, folder)))
    for old, new in zip(first.entries, second.entries, strict=True):
        assert locate(client, repo, old) != locate(client, repo, new) == client.refs.head(repo, step_name(new.step))


def test_a_checkpoint_of_another_training_is_not_found(client: HubClient, repo: str, tmp_path: Path) -> None:
    first, second = training(tmp_path / "a"), training(tmp_path / "b", seed=7.0)
    checkpoints.publish(client, repo, checkpoints.plan(client, repo, checkpoints.read(first, tmp_path / "a")))
    with pytest.raises(InputError, match="has no branch step-000010 with"):
        locate(client, repo, second.entries[1])


@pytest.mark.parametrize("name", [WEIGHTS, OPTIMIZER])
def test_bytes_that_are_not_the_chains_are_never_sent(tmp_path: Path, name: str) -> None:
    chain = training(tmp_path)
    safetensors(tmp_path / step_name(10) / name, 99.0)
    with pytest.raises(DigestMismatch, match="step-000010"):
        checkpoints.read(chain, tmp_path)


def test_a_state_of_another_step_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    chain = training(tmp_path)
    (tmp_path / step_name(10) / STATE).write_bytes(state(chain.entries[0]))
    with pytest.raises(VerificationError, match="does not carry"):
        checkpoints.read(chain, tmp_path)
    (tmp_path / step_name(10) / OPTIMIZER).unlink()
    with pytest.raises(InputError, match="not weights, optimizer and state"):
        checkpoints.read(chain, tmp_path)


def test_the_command_says_what_it_would_send_and_sends_it(released: Released) -> None:
    command = ("glasshouse", "release", "publish", str(released.folder), "--checkpoints", "--json")
    dry = released.project.run(*command, "--dry-run", variables=released.hub)
    planned = json.loads(dry.stdout)["checkpoints"]
    assert planned["sent"] and planned["bytes"] > 0 and "would send" in dry.stderr
    done = json.loads(released.project.run(*command, variables=released.hub).stdout)
    assert done["checkpoints"]["sent"] == planned["sent"]
    again = json.loads(released.project.run(*command, variables=released.hub).stdout)
    assert again["checkpoints"] == {"sent": [], "bytes": 0, "standing": planned["sent"]}
