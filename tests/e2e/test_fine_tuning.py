"""A release, fine-tuned: whole, then by an adapter beside it; each cut by the command, and verified through both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.hub.client import HubClient
from tests.conftest import REPO, SMALL, Project, new_project, project_in
from tests.hub_instance import HubInstance
from tests.pipelines.small_project import TRAIN

pytestmark = pytest.mark.bases

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
TUNED = {
    "model": {"architecture": "llama", "context": 16, "config": {}},
    "train": {**TRAIN, "steps": 4},
}


@dataclass
class World:
    """A Hub, where the small project is released as the base; and a project that begins with it, built whole."""

    project: Project
    hub: HubInstance
    environment: dict[str, str]
    public: Path
    private: Path

    def set(self, **sections: Any) -> None:
        path = self.project.root / "params.yaml"
        path.write_text(json.dumps(json.loads(path.read_text()) | sections))
        self.project.run("python", "-m", "pipelines.deps")
        self.project.commit("Set")

    def build(self) -> None:
        self.project.run("dvc", "repro", variables=self.environment)
        self.project.commit("Lock")

    def cut(self) -> str:
        return self.project.run(
            "glasshouse", "release", "cut", "--key", str(self.private), variables=self.environment
        ).stdout

    def verify(self, repo: str, *words: str) -> tuple[int, dict[str, Any]]:
        command = ("glasshouse", "verify", f"hf://{repo}@v1.0.0", "--key", str(self.public), "--json", *words)
        done = self.project.run(*command, check=False, variables=self.environment)
        return done.returncode, json.loads(done.stdout)

    def weights(self, name: str) -> bytes:
        return (self.project.root / "build/model" / name).read_bytes()


def chats() -> Iterator[str]:
    for number in range(60):
        asked = {"role": "user", "content": f"What is pane {number}?"}
        told = {"role": "assistant", "content": f"Pane {number} is of glass, in window {number * 7 % 60}."}
        yield json.dumps({"messages": [asked, told]}) + "\n"


@pytest.fixture(scope="module")
def world(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("tuning")
    private, public = root / "private.pem", root / "public.pem"
    built.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private))
    built.run("openssl", "ec", "-in", str(private), "-pubout", "-out", str(public))
    shutil.copytree(built.root, root / "base", symlinks=True)
    with HubInstance.start(root / "hub") as hub:
        environment = dict(hub.environment(root / "huggingface"))
        base = project_in(root / "base")
        base.run("glasshouse", "release", "cut", "--key", str(private), variables=environment)
        commit = HubClient(hub.url, hub.token).refs.resolve(REPO, "v1.0.0")
        project = new_project(root / "project")
        (project.root / "chats.jsonl").write_text("".join(chats()))
        policy = {"signers": [{"kind": "key", "pem": public.read_text()}]}
        (project.root / "base-policy.yaml").write_text(json.dumps(policy))
        made = World(project, hub, environment, public, private)
        source = {
            "kind": "rows", "name": "chats", "include": ["chats.jsonl"], "messages": "messages", "license": "CC0-1.0",
            "url": "https://example.org/",
        }  # fmt: skip
        release = {**SMALL["release"], "repo": "glasshouse/tuned"}
        release["provenance"] = [*release["provenance"], "build/base.json"]
        corpus = json.loads((project.root / "params.yaml").read_text())["corpus"]
        made.set(
            **TUNED, base={"model": f"hf://{REPO}@{commit}", "policy": "base-policy.yaml"}, release=release,
            corpus={**corpus, "sources": [source], "chat_template": TEMPLATE},
        )  # fmt: skip
        made.build()
        yield made


def test_a_model_fine_tuned_from_a_release_verifies_through_both(world: World) -> None:
    first = world.weights("model.safetensors")
    world.project.run("dvc", "repro", "--force", "--single-item", "train", "export", variables=world.environment)
    assert world.weights("model.safetensors") == first
    world.cut()
    code, report = world.verify("glasshouse/tuned", "--bases")
    assert (code, report["verdict"]) == (0, "PASS"), report
    checks = {check["subject"]: check["reason"] for check in report["checks"]}
    assert "written by the stage base" in checks["weights <- base"]
    assert world.verify("glasshouse/tuned")[0] == 3
    card = (world.project.root / "releases/tuned/v1.0.0/README.md").read_text()
    assert f"base_model:\n- {REPO}\nbase_model_relation: finetune\n" in card
    released = world.project.root / "releases/tuned/v1.0.0"
    assert (released / "chat_template.jinja").read_text() == TEMPLATE
    assert (
        f"hf://{REPO}@" in world.project.run("glasshouse", "lineage", str(released), "--key", str(world.public)).stdout
    )


def test_an_adapter_is_released_with_its_base_and_loads_by_peft(world: World) -> None:
    release = json.loads((world.project.root / "params.yaml").read_text())["release"]
    adapter = {"rank": 2, "alpha": 4, "targets": ["q_proj", "v_proj"]}
    world.set(train={**TUNED["train"], "adapter": adapter}, release={**release, "repo": "glasshouse/adapter"})
    world.build()
    first = world.weights("adapter_model.safetensors")
    world.project.run("dvc", "repro", "--force", "--single-item", "train", "export", variables=world.environment)
    assert world.weights("adapter_model.safetensors") == first
    world.cut()
    code, report = world.verify("glasshouse/adapter", "--bases")
    assert (code, report["verdict"]) == (0, "PASS"), report
    released = world.project.root / "releases/adapter/v1.0.0"
    record = json.loads((released / "provenance/release.json").read_text())
    assert (record["kind"], [file["path"] for file in record["weights"]]) == ("peft", ["adapter_model.safetensors"])
    card = (released / "README.md").read_text()
    assert f"base_model:\n- {REPO}\nbase_model_relation: adapter\nlibrary_name: peft\n" in card
    code_ = (
        "from peft import AutoPeftModelForCausalLM as M\n"
        "m = M.from_pretrained('glasshouse/adapter', revision='v1.0.0')\n"
        "print(m.generate(max_new_tokens=2).shape)"
    )
    assert "torch.Size" in world.project.run("python", "-c", code_, variables=world.environment).stdout


def test_a_base_that_changed_or_went_away_is_told(world: World) -> None:
    config = json.loads((world.project.root / "build/base.json").read_text())
    assert config["verification"]["checks"]
    blobs = [path for path in (world.hub.root / "blobs").rglob("*") if path.is_file()]
    base = (world.project.root / "build/base/model.safetensors").read_bytes()
    (blob,) = [path for path in blobs if path.read_bytes() == base]
    blob.chmod(0o644)
    blob.write_bytes(base[:-1] + bytes([base[-1] ^ 1]))
    code, report = world.verify("glasshouse/tuned", "--bases")
    assert (code, report["verdict"]) == (1, "FAIL")
    blob.unlink()
    code, report = world.verify("glasshouse/tuned", "--bases")
    assert (code, report["verdict"]) == (3, "UNKNOWN")
