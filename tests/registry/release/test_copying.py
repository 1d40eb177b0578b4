"""A release is carried from one Hub to another: all that belongs to it, verified at both, and nothing twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from registry import api, canonical
from registry.cli import main
from registry.digest import sha256_file
from registry.hub.client import HubClient
from registry.records import layout
from registry.records.checkpoint_chain import Chain, FileDigests
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, step_name
from registry.release import checkpoints, companions
from registry.release.companions import PlannedCompanion
from registry.tensors import tensors_digest
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

REPO, REFERENCE = "org/model", "hf://org/model@v1.0.0"
PUBLISHED = (4, 8)
"""The checkpoints that stand at the source."""


@dataclass(frozen=True)
class World:
    """Two Hubs, the first of which has a release."""

    folder: Path
    source: HubInstance
    target: HubInstance
    environment: dict[str, str]

    def run(self, *words: str, code: int = 0, **changed: str) -> str:
        """What the command prints."""
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name, value in {**self.environment, **changed}.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["glasshouse", *words])
            with redirect_stdout(out), redirect_stderr(err):
                main()
        assert int(ended.value.code or 0) == code, out.getvalue() + err.getvalue()
        return out.getvalue() + err.getvalue() * bool(code)

    def push(self, *more: str, code: int = 0, **changed: str) -> str:
        """Carry the release."""
        key = str(self.folder / "public.pem")
        return self.run("hub", "push", REFERENCE, "--key", key, *more, code=code, **changed)

    def at(self, hub: HubInstance) -> HubClient:
        """One of the two, with its token."""
        return HubClient(hub.url, hub.token)


def chain_in(steps: Path, folder: Path) -> Chain:
    """A chain of nine checkpoints whose files are written to `steps`."""
    made = synthetic_release._chain(folder).up_to(0)
    for step in range(9):
        place = steps / step_name(step)
        place.mkdir(parents=True)
        if step == 8:
            shutil.copy(folder / layout.WEIGHTS, place / WEIGHTS)
        else:
            (place / WEIGHTS).write_bytes(synthetic_release.safetensors({"layer": b"w" * (step + 1)}))
        (place / OPTIMIZER).write_bytes(synthetic_release.safetensors({"m": b"o" * (step + 1)}))
        digests = [FileDigests(file=sha256_file(place / name), tensors=tensors_digest(place / name))
                   for name in (WEIGHTS, OPTIMIZER)]  # fmt: skip
        loss = None if step == 0 else 9.0 - step
        made = made.extended(step=step, weights=digests[0], optimizer=digests[1], end=step * 8, loss=loss)
        (place / STATE).write_bytes(canonical.dumps({"entry": made.entries[-1].as_json()}))
    return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("copying")
    signer = api.KeySigner(write_key(root / "private.pem"))
    (root / "public.pem").write_text(signer.public_key.pem)
    policy = {"signers": [{"kind": "key", "pem": signer.public_key.pem}]}
    (root / "policy.yaml").write_text(json.dumps(policy))
    synthetic_release.write(root / "model", repo=REPO, chain=lambda folder: chain_in(root / "steps", folder))
    api.sign(root / "model", signer)
    with (
        HubInstance.start(root / "source", organizations=("org",)) as source,
        HubInstance.start(root / "target", organizations=("org",), token="other-token") as target,
        pytest.MonkeyPatch.context() as patch,
    ):
        environment = dict(source.environment(root / "home"))
        environment |= {"GLASSHOUSE_OTHER_HUB": target.url, "GLASSHOUSE_OTHER_TOKEN": target.token,
                        "GLASSHOUSE_MEMORY": "off", "GLASSHOUSE_CACHE": str(root / "cache")}  # fmt: skip
        for name, value in environment.items():
            patch.setenv(name, value)
        api.publish(root / "model")
        made = World(root, source, target, environment)
        chain = Chain.read(root / "model" / layout.CHECKPOINTS)
        local = tuple(
            checkpoints.laid_out(entry, root / "steps" / step_name(entry.step))
            for entry in chain.entries if entry.step in PUBLISHED
        )  # fmt: skip
        checkpoints.publish(made.at(source), REPO, checkpoints.CheckpointPlan(local, ()))
        made.run("release", "promote", REFERENCE, "--policy", str(root / "policy.yaml"), "--valid-days", "9", "--key",
                 str(root / "private.pem"))  # fmt: skip
        yield made


def test_nothing_is_changed_where_it_is_only_asked(world: World) -> None:
    told = json.loads(world.push("--dry-run", "--json"))
    assert told["checkpoints"] == list(PUBLISHED) and len(told["words"]["status"]) == 1
    assert (told["tagged"], told["verified"], told["dryRun"]) == (False, False, True)
    assert not world.at(world.target).repos.exists(REPO)


def test_a_signer_whom_nobody_expects_is_not_carried(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(api.KeySigner(write_key(tmp_path / "key.pem")).public_key.pem)
    assert "failed" in world.run("hub", "push", REFERENCE, "--key", str(other), code=1)
    assert not world.at(world.target).repos.exists(REPO)


def test_the_token_goes_to_the_hub_it_is_for_alone(world: World) -> None:
    said = world.push("--to", world.target.url, code=4, GLASSHOUSE_OTHER_HUB="https://elsewhere.example")
    assert "log in" in said


def test_all_of_it_is_carried_and_a_second_time_nothing(world: World) -> None:
    told = json.loads(world.push("--json"))
    assert told["verified"] is True
    here, there = world.at(world.source), world.at(world.target)
    for hub in (here, there):
        assert {f"step-{step:06}" for step in PUBLISHED} <= hub.refs.branches(REPO).keys()
    files = [
        {file.path: file.sha256 or file.git_oid for file in hub.files.list(REPO, hub.refs.tags(REPO)["v1.0.0"])}
        for hub in (here, there)
    ]
    assert files[0] == files[1]
    status = [hub.files.list(REPO, hub.refs.head(REPO, "status")) for hub in (here, there)]
    assert [file for file in status[0] if file.path.startswith("v1.0.0/")] == [
        file for file in status[1] if file.path.startswith("v1.0.0/")
    ]
    heads = there.refs.branches(REPO)
    assert json.loads(world.push("--json"))["checkpoints"] == []
    assert there.refs.branches(REPO) == heads


def test_an_interrupted_copy_goes_on_and_pull_is_the_other_way_round(world: World, tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "third", organizations=("org",), token="third-token") as third:
        own = {"HF_ENDPOINT": third.url, "HF_TOKEN": third.token, "GLASSHOUSE_OTHER_HUB": world.source.url,
               "GLASSHOUSE_OTHER_TOKEN": world.source.token}  # fmt: skip
        hub = HubClient(third.url, third.token)
        hub.repos.ensure(REPO)
        chain = Chain.read(world.folder / "model" / layout.CHECKPOINTS)
        first = checkpoints.laid_out(chain.entries[4], world.folder / "steps" / step_name(4))
        checkpoints.publish(hub, REPO, checkpoints.CheckpointPlan((first,), ()))  # as far as it had come
        before = hub.refs.head(REPO, step_name(4))
        key = str(world.folder / "public.pem")
        told = json.loads(world.run("hub", "pull", REFERENCE, "--key", key, "--json", code=0, **own))
        assert told["checkpoints"] == [8]
        assert hub.refs.head(REPO, step_name(4)) == before
        assert "v1.0.0" in hub.refs.tags(REPO)


def test_another_release_under_the_name_is_not_touched(world: World, tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "fourth", organizations=("org",), token="fourth-token") as fourth:
        hub = HubClient(fourth.url, fourth.token)
        hub.repos.ensure(REPO)
        hub.refs.tag(REPO, "v1.1.0", hub.refs.head(REPO), "another")
        other = {"GLASSHOUSE_OTHER_HUB": fourth.url, "GLASSHOUSE_OTHER_TOKEN": fourth.token}
        assert "carry the oldest release first" in world.push(code=2, **other)
        hub.refs.tag(REPO, "v1.0.0", hub.refs.head(REPO), "another")
        assert "a release never changes" in world.push(code=2, **other)


def test_what_is_published_beside_it_comes_along_both_ways(world: World, tmp_path: Path) -> None:
    """Pushed to one Hub, then pulled from that by another: each companion under the tag, with the signed bytes."""
    name, folder = "org/accompanied", tmp_path / "releases" / "v1.0.0"
    card = b"---\nlicense: mit\n---\n"
    beside = (
        PlannedCompanion(f"{name}-gguf", {"README.md": card, "model.gguf": b"GGUF" + bytes(5000)}),
        PlannedCompanion(f"datasets/{name}", {"README.md": card, "rows.parquet": b"PAR1" * 99}),
    )
    synthetic_release.write(folder, repo=name, beside=tuple(companion.record for companion in beside))
    for companion in beside:
        companion.write(companions.place(folder, companion.repo))
    api.sign(folder, api.KeySigner(world.folder / "private.pem"))
    api.publish(folder)
    key = ("--key", str(world.folder / "public.pem"), "--json")
    assert json.loads(world.run("hub", "push", f"hf://{name}@v1.0.0", *key))["verified"] is True
    with HubInstance.start(tmp_path / "fifth", organizations=("org",), token="fifth-token") as fifth:
        own = {"HF_ENDPOINT": fifth.url, "HF_TOKEN": fifth.token, "GLASSHOUSE_OTHER_HUB": world.target.url,
               "GLASSHOUSE_OTHER_TOKEN": world.target.token}  # fmt: skip
        assert json.loads(world.run("hub", "pull", f"hf://{name}@v1.0.0", *key, code=0, **own))["verified"] is True
        for hub in (world.at(world.target), HubClient(fifth.url, fifth.token)):
            for companion in beside:
                commit = hub.refs.tags(companion.repo)["v1.0.0"]
                assert not hub.trees.compare(companion.repo, commit, companion.manifest)
