"""A release, fine-tuned: whole, then by an adapter beside it; each cut by the command, verified through both, audited.

The base is a release of this project's own pipeline on little text, cut by the command as `make demo` cuts its own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.hub.client import HubClient
from tests.audited import WALLED
from tests.conftest import REPO, SMALL, Project, new_project, project_in
from tests.forging import CHECKPOINTS
from tests.hub_instance import HubInstance
from tests.pipelines.small_project import TRAIN

pytestmark = [pytest.mark.bases, WALLED]

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

    def audit(self, *words: str) -> tuple[int, str]:
        """An audit by a stranger, who has the reference and the source: its exit code, and what it said."""
        with tempfile.TemporaryDirectory(dir=self.project.root.parent) as folder:
            verdict = Path(folder) / "verdict.json"
            done = self.project.run(
                "glasshouse", "audit", *words, "--key", str(self.public), "--environment", "current", "--source",
                str(self.project.root), "--output", str(verdict), check=False, variables=self.environment,
            )  # fmt: skip
            assert "Traceback" not in done.stderr and verdict.exists() is (done.returncode == 0), done.stderr
            return done.returncode, done.stdout + done.stderr

    def is_bitwise(self, repo: str, *words: str) -> None:
        """Hold a release to it that a rebuild, and the replay of a stretch, give its bits."""
        reference = f"hf://{repo}@v1.0.0"
        code, said = self.audit("rebuild", reference, *words)
        assert code == 0 and "\nBITWISE: " in said and f"the base hf://{REPO}@" in said, said
        code, said = self.audit("replay", reference, "--segment", "1", "--checkpoints", CHECKPOINTS, *words)
        assert code == 0 and "\nBITWISE: 1 of 4 segments" in said, said

    @contextmanager
    def base_weights(self) -> Iterator[Path]:
        """Within: where the Hub keeps the base's weights, to be changed or removed. Then they are as before."""
        data = (self.project.root / "build/base/model.safetensors").read_bytes()
        blobs = [path for path in (self.hub.root / "blobs").rglob("*") if path.is_file()]
        (blob,) = [path for path in blobs if path.read_bytes() == data]
        blob.chmod(0o644)
        try:
            yield blob
        finally:
            blob.write_bytes(data)

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
    world.is_bitwise("glasshouse/tuned")


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
    world.is_bitwise("glasshouse/adapter")


def test_a_base_that_changed_or_went_away_is_told_and_nothing_is_built_on_it(world: World, tmp_path: Path) -> None:
    config = json.loads((world.project.root / "build/base.json").read_text())
    assert config["verification"]["checks"]
    rebuild = ("rebuild", "hf://glasshouse/tuned@v1.0.0")
    given = tmp_path / "given"
    shutil.copytree(world.project.root / "build/base", given)
    with world.base_weights() as blob:
        flip(blob)
        code, report = world.verify("glasshouse/tuned", "--bases")
        assert (code, report["verdict"]) == (1, "FAIL")
        code, said = world.audit(*rebuild)
        assert code == 1 and "recorded as sha256:" in said and "BITWISE" not in said, said
        blob.unlink()
        code, report = world.verify("glasshouse/tuned", "--bases")
        assert (code, report["verdict"]) == (3, "UNKNOWN")
        code, said = world.audit(*rebuild)
        assert code == 3 and "cannot be had" in said and "--base DIR" in said and "BITWISE" not in said, said
        world.is_bitwise("glasshouse/adapter", "--base", str(given))
    flip(given / "model.safetensors")
    code, said = world.audit(*rebuild, "--base", str(given))
    assert code == 2 and "hf download glasshouse/small" in said and "BITWISE" not in said, said


def test_a_base_that_was_yanked_is_heard_by_whoever_verifies_what_was_made_of_it(world: World) -> None:
    assert world.verify("glasshouse/tuned", "--bases")[0] == 0
    words = ("glasshouse", "release", "yank", f"hf://{REPO}@v1.0.0", "--reason", "It learned what it must not.")
    world.project.run(*words, "--key", str(world.private), variables=world.environment)
    for repo in ("glasshouse/tuned", "glasshouse/adapter"):
        code, report = world.verify(repo, "--bases")
        (told,) = [check["reason"] for check in report["checks"] if check["subject"].startswith(f"hf://{REPO}@")]
        assert (code, report["verdict"]) == (1, "FAIL") and "yank" in told, report
    assert world.verify("glasshouse/tuned")[0] == 3


def flip(path: Path) -> None:
    """Change the last bit of a file."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
