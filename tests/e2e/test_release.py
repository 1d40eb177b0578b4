"""A release, end to end: the real dvc, git, mlflow, sigstore, model_signing, huggingface_hub and transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from registry.manifest import Manifest
from tests.conftest import ALONE, MAINTAINER, REPO, Project, Released, new_project
from tests.sigstore_instance import SigstoreInstance

OTHERWISE = {**ALONE, "PYTHONHASHSEED": "77", "GLASSHOUSE_TRACKING": "off"}
STAGES = ("corpus", "tokenizer", "encode", "train", "export", "evaluate", "release")
STEPS = {0: "bounds", 1: "place", 2: "bytes", 3: "signatures", 4: "complete", 5: "lineage", 6: "policy", 7: "status"}


def test_a_stranger_verifies_it_from_the_hub(released: Released) -> None:
    done = released.project.run(
        "glasshouse", "verify", released.reference, *released.signer, "--json", variables=released.hub
    )
    report = json.loads(done.stdout)
    assert report["verdict"] == "PASS"
    assert {check["step"]: check["name"] for check in report["checks"]} == STEPS
    assert all(check["verdict"] == "PASS" for check in report["checks"])


@pytest.mark.parametrize(("asked", "code"), [("III", 0), ("II", 1)])
def test_a_policy_asks_how_open_it_is_and_is_answered(
    released: Released, tmp_path: Path, asked: str, code: int
) -> None:
    """Nobody else can fetch the code of this project, and its documents are published nowhere: it is an Open Model."""
    identity = dict(zip(("identity", "issuer"), released.signer[1::2], strict=False))
    policy = {"signers": [{"kind": "identity", **identity}], "openness": asked}
    (tmp_path / "policy.yaml").write_text(json.dumps(policy))
    trust = released.signer[released.signer.index("--trust-config") :]
    words = ("glasshouse", "verify", str(released.folder), "--policy", str(tmp_path / "policy.yaml"), *trust)
    done = released.project.run(*words, "--json", check=False)
    answer = {check["subject"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == code, done.stdout + done.stderr
    assert answer["openness"] == ("FAIL" if code else "PASS") and answer["openness <- its evidence"] == "PASS"


def test_the_report_for_a_person_names_the_signer_and_the_log(released: Released) -> None:
    done = released.project.run("glasshouse", "verify", str(released.folder), *released.signer)
    assert MAINTAINER in done.stdout and "PASS" in done.stdout and len(done.stdout.splitlines()) == len(STEPS) + 1
    done = released.project.run("glasshouse", "verify", str(released.folder), *released.signer, "--verbose")
    assert MAINTAINER in done.stdout and "rekor1" in done.stdout and "PASS" in done.stdout


def test_the_release_holds_what_was_promised(released: Released) -> None:
    files = {path.relative_to(released.folder).as_posix() for path in released.folder.rglob("*") if path.is_file()}
    assert {
        "README.md", "LICENSE", "config.json", "model.safetensors", "tokenizer.json", ".gitattributes", "model.sig",
        "provenance/release.json", "provenance/data-manifest.json", "provenance/data-manifest.jsonl",
        "provenance/tokens.json", "provenance/checkpoints.json", "provenance/metrics.jsonl",
        "provenance/evaluation.json", "provenance/environment.json", "provenance/loss.png", "provenance/dvc.yaml",
        "provenance/dvc.lock", "provenance/params.yaml", "provenance/requirements.lock",
        "attestations/provenance.sigstore.json", "attestations/data.sigstore.json",
        "attestations/card.sigstore.json", "attestations/release.sigstore.json", "provenance/stages.json",
        "attestations/checkpoints.sigstore.json", "attestations/evaluation.sigstore.json",
        "provenance/openness.json", "provenance/data-card.md", "provenance/technical-report.md",
        "attestations/openness.sigstore.json",
        *(f"attestations/stage-{name}.sigstore.json" for name in STAGES),
    } <= files  # fmt: skip


def test_the_model_card_is_rendered_from_the_records(released: Released) -> None:
    card = (released.folder / "README.md").read_text()
    evaluation = json.loads((released.folder / "provenance/evaluation.json").read_text())
    manifest = json.loads((released.folder / "provenance/data-manifest.json").read_text())
    for figure in (
        evaluation["metrics"]["bitsPerByte"],
        evaluation["baselines"]["unigram"]["bitsPerByte"],
        evaluation["baselines"]["uniform"]["bitsPerByte"],
    ):
        assert f"{figure:.3f}" in card
    assert manifest["root"] in card and "CC0-1.0" in card and "Version 1.0.0" in card
    assert "To be tested." in card and "It knows nothing." in card


def test_the_stock_model_signing_accepts_it(released: Released, sigstore: SigstoreInstance) -> None:
    released.project.run(
        "model_signing", "verify", "sigstore", str(released.folder), "--signature", str(released.folder / "model.sig"),
        "--identity", MAINTAINER, "--identity_provider", sigstore.issuer,
        "--trust_config", str(sigstore.trust_config_path),
    )  # fmt: skip


def test_transformers_loads_the_tag_and_generates(released: Released) -> None:
    code = (
        "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T\n"
        f"m, t = M.from_pretrained('{REPO}', revision='v1.0.0'), T.from_pretrained('{REPO}', revision='v1.0.0')\n"
        "print(t.decode(m.generate(**t('glass house', return_tensors='pt'), max_new_tokens=5)[0]))"
    )
    assert released.project.run("python", "-c", code, variables=released.hub).stdout.startswith("glass house")


def test_mlflow_points_at_the_release(released: Released) -> None:
    code = (
        "from mlflow import MlflowClient\n"
        "c = MlflowClient('sqlite:///mlflow.db'); v = c.get_model_version_by_alias('small', 'released')\n"
        "assert c.get_model_version_by_alias('small', 'candidate').version == v.version\n"
        "r = c.get_run(v.run_id); import json\n"
        "print(json.dumps([v.tags, r.data.tags, r.data.params, r.data.metrics, len(r.inputs.dataset_inputs)]))"
    )
    version, run, params, metrics, inputs = json.loads(
        released.project.run("python", "-c", code).stdout.splitlines()[-1]
    )
    assert version["glasshouse.release"] == run["glasshouse.release"] == released.reference
    assert len(version["glasshouse.release.sha256"]) == len(run["glasshouse.lock"]) == 64
    assert params and metrics and inputs == 1


def test_cutting_again_says_that_nothing_changed(released: Released) -> None:
    done = released.project.run("glasshouse", "release", "cut", variables=released.hub)
    assert "nothing changed since v1.0.0" in done.stdout


def test_a_version_that_exists_is_refused(released: Released) -> None:
    done = released.project.run(
        "glasshouse", "release", "cut", "--version", "1.0.0", check=False, variables=released.hub
    )
    assert done.returncode == 2 and "exists and never changes" in done.stderr and "--version 1.0.1" in done.stderr


def test_publishing_again_changes_nothing(released: Released) -> None:
    done = released.project.run("glasshouse", "release", "publish", str(released.folder), variables=released.hub)
    assert f"published {released.reference}" in done.stdout


def test_a_dry_run_changes_nothing(released: Released) -> None:
    before = Manifest.of_directory(released.project.root / "releases")
    released.project.run("glasshouse", "release", "prepare", "--version", "2.0.0", "--dry-run", variables=released.hub)
    assert Manifest.of_directory(released.project.root / "releases") == before


def test_dvc_has_nothing_left_to_do(built: Project) -> None:
    said = built.run("dvc", "repro").stdout
    assert "didn't change, skipping" in said and "Running stage" not in said
    assert built.run("git", "status", "--porcelain").stdout == ""


@pytest.fixture
def copy(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project that a test may spoil."""
    shutil.copytree(built.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project", {**built.environment, "PYTHONPATH": str(tmp_path / "project")})


def refused(project: Project, released: Released) -> str:
    done = project.run("glasshouse", "release", "prepare", "--version", "3.0.0", check=False, variables=released.hub)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "to mend it:" in done.stderr
    return done.stderr


def test_a_dirty_tree_is_refused(copy: Project, released: Released) -> None:
    (copy.root / "texts" / "new.txt").write_text("not committed")
    assert "the tree is dirty: texts/new.txt" in refused(copy, released)


def test_a_stale_lock_is_refused(copy: Project, released: Released) -> None:
    with (copy.root / "pipelines" / "export.py").open("a") as source:
        source.write("\n# changed\n")
    copy.commit("Change a stage")
    said = refused(copy, released)
    assert "out of date: " in said and "export" in said.partition("out of date: ")[2].partition("\n")[0]


def test_a_pickle_among_the_weights_is_refused(copy: Project) -> None:
    (copy.root / "build/model/extra.bin").write_bytes(b"\x80\x04.")
    done = copy.run("glasshouse", "release", "prepare", "--draft", check=False)
    assert done.returncode == 2 and "extra.bin" in done.stderr


def test_a_key_signs_where_there_is_no_identity(released: Released, tmp_path: Path) -> None:
    project = released.project
    folder = shutil.copytree(released.folder, tmp_path / "release")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    project.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private))
    project.run("openssl", "ec", "-in", str(private), "-pubout", "-out", str(public))
    project.run("glasshouse", "release", "sign", str(folder), "--key", str(private))
    done = project.run("glasshouse", "verify", str(folder), "--key", str(public), "--verbose")
    assert "no transparency log" in done.stdout
    stock = ("model_signing", "verify", "key", str(folder), "--signature", str(folder / "model.sig"))
    project.run(*stock, "--public_key", str(public))
    assert project.run("glasshouse", "verify", str(folder), *released.signer, check=False).returncode == 1


@pytest.mark.slow  # a rebuild shows it, too: test_audit_command.py
def test_two_builds_from_scratch_give_the_same_bytes(built: Project, tmp_path: Path) -> None:
    """In another place, with another hash seed, and with nothing told to MLflow."""
    again = new_project(tmp_path / "elsewhere")
    again.run("dvc", "repro", variables=OTHERWISE)
    assert (built.root / "mlflow.db").exists() and not (again.root / "mlflow.db").exists()
    for folder in ("corpus", "tokenizer", "tokens", "train", "model", "evaluation", "release", "runs"):
        here, there = (Manifest.of_directory(p.root / "build" / folder) for p in (built, again))
        assert here == there, folder
