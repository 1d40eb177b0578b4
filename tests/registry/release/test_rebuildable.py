"""What a release says of how it is rebuilt: found in the project, or declared, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, Malformed
from registry.records.rebuild import REPRO, DeclaredRebuild
from registry.release import config, rebuildable, scope
from tests.registry.project.small_dvc import start

STAGES = """stages:
  train:
    cmd: "true"
    outs: [out/model.safetensors]
    metrics: [metrics.json]
  other:
    cmd: "true"
    outs: [other.txt]
"""
LOCKED = "numpy==2.4.6\n"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose outputs lie there, whoever made them."""
    place = tmp_path_factory.mktemp("small") / "project"
    files = {"dvc.yaml": STAGES, "out/model.safetensors": "x", "metrics.json": "{}", "other.txt": "", "LICENSE": "MIT"}
    start(place, {**files, "requirements.txt": LOCKED, "locks/uv.lock": "version = 1\n", "odd.lock": ""})
    return place


def declared(root: Path, section: str = "") -> DeclaredRebuild:
    text = f"release:\n  repo: org/small\n  license: MIT\n  model: out/model.safetensors\n{section}"
    (root / "glasshouse.yaml").write_text(text)
    settings = config.load(root)
    found = rebuildable.declared(root, settings, scope.of(root, settings))
    assert found is not None
    return found


def test_what_nobody_says_is_found(root: Path) -> None:
    found = declared(root)
    assert found.command == (*REPRO, "train")
    assert found.environment is not None and found.environment.kind == "pip"
    assert found.environment.words == f"requirements.txt sha256:{sha256_bytes(LOCKED.encode())}"
    assert [(output.path, output.source) for output in found.outputs] == [
        ("model.safetensors", "out/model.safetensors"),
        ("provenance/metrics/metrics.json", "metrics.json"),
    ]
    assert DeclaredRebuild.from_bytes(found.to_bytes(), name="x") == found


def test_what_is_declared_counts(root: Path) -> None:
    found = declared(
        root,
        "  rebuild: {command: [make, model], environment: {file: locks/uv.lock}, tolerances: {out: {rtol: 0.5}}}\n",
    )
    assert found.command == ("make", "model") and found.environment is not None and found.environment.kind == "uv"
    assert [(output.rtol, output.atol) for output in found.outputs] == [(0.5, 0.0), (0.0, 0.0)]
    assert declared(root, "  rebuild: {targets: [other]}\n").command == (*REPRO, "other")
    image = declared(root, f"  rebuild: {{environment: {{image: 'ghcr.io/a/b@{DIGEST}'}}}}\n").environment
    assert image is not None and image.words == f"ghcr.io/a/b@{DIGEST}" and image.file is None


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{command: [make], targets: [train]}", "contradict each other"),
        ("{command: [--help]}", "an option"),
        ("{targets: [--all-pipelines]}", "release.rebuild.targets.0"),
        ("{environment: {image: 'a/b:latest'}}", "release.rebuild.environment.image"),
        ("{environment: {file: odd.lock}}", "whose format odd.lock has is not known"),
        ("{environment: {file: absent.lock, kind: uv}}", "there is no file absent.lock"),
        ("{environment: {file: ../uv.lock}}", "release.rebuild.environment.file"),
        ("{environment: {kind: uv}}", "either `file`"),
        ("{tolerances: {other.txt: {rtol: 1}}}", "other.txt is not released"),
        ("{tolerances: {out: {rtol: -1}}}", "release.rebuild.tolerances.out.rtol"),
        ("{tolerances: {out: {rtol: .inf}}}", "rtol"),
    ],
)
def test_what_is_amiss_is_refused_before_anything_is_signed(root: Path, section: str, told: str) -> None:
    with pytest.raises(GlasshouseError) as refused:
        declared(root, f"  rebuild: {section}\n")
    assert refused.value.exit_code == 2 and told in refused.value.message


words = st.text(st.sampled_from("a./-\n\x00~ @:="), max_size=12)
values = st.fixed_dictionaries(
    {"command": st.lists(words, max_size=3), "outputs": st.lists(
        st.fixed_dictionaries({"path": words, "source": words}, optional={"rtol": st.floats(-1, 2)}), max_size=3)},
    optional={"environment": st.fixed_dictionaries({"kind": st.sampled_from(["pip", "image", "x"])}, optional={
        "file": words, "sha256": st.just("0" * 64), "image": st.just(f"a@{DIGEST}")})},
)  # fmt: skip


@given(values)
def test_of_any_record_what_is_read_stays_inside_and_is_no_option(value: dict[str, object]) -> None:
    try:
        found = DeclaredRebuild.from_json(value, name="rebuild")
    except Malformed:
        return
    assert found.command[0] and not found.command[0].startswith("-")
    for path in [output.source for output in found.outputs]:
        assert Path("/root", path).is_relative_to("/root") and ".." not in Path(path).parts
    assert DeclaredRebuild.from_bytes(canonical.dumps(found.as_json()), name="rebuild") == found
