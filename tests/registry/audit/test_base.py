"""A source without a network is given the base that its release records, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from registry import api, canonical
from registry.audit import base
from registry.errors import InputError, Malformed, Unavailable
from registry.manifest import Manifest
from registry.records import folders, layout
from registry.records.base_record import Base
from registry.release.base_stage import BaseStage
from registry.verification.following import digest_of
from tests import synthetic_release
from tests.registry.attest.conftest import write_key

COMMIT = "a" * 40
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, api.Policy]:
    """A signed release, which others begin with; and the policy that passes it."""
    folder = tmp_path_factory.mktemp("signed")
    signer = api.KeySigner(write_key(folder / "key.pem"))
    synthetic_release.write(folder / "base", repo="org/base")
    api.sign(folder / "base", signer)
    return folder / "base", api.Policy(signers=(signer.public_key,))


def record(files: Path) -> Base:
    found = Manifest.of_directory(files)
    return Base(
        repo="org/base", commit=COMMIT, sha256=digest_of(found), files=len(found.entries), size=found.size,
        verification=None,
    )  # fmt: skip


def project(root: Path, policy: api.Policy | None) -> Path:
    """A project whose params.yaml names org/base."""
    root.mkdir()
    named = {"model": f"hf://org/base@{COMMIT}"}
    if policy is not None:
        (root / "policy.json").write_text(json.dumps(policy.as_json()))
        named["policy"] = "policy.json"
    (root / "params.yaml").write_text(json.dumps({"base": named}))
    return root


def test_the_auditor_s_folder_is_copied_where_it_is_the_base(signed: tuple[Path, api.Policy], tmp_path: Path) -> None:
    files, _ = signed
    given = base.have(record(files), files, NOBODY, tmp_path / "base")
    assert given.folder == tmp_path / "base" and f"hf://org/base@{COMMIT}" in given.words
    assert Manifest.of_directory(given.folder) == Manifest.of_directory(files)


def test_other_files_are_refused_and_nothing_is_given(signed: tuple[Path, api.Policy], tmp_path: Path) -> None:
    files, _ = signed
    said, other = record(files), tmp_path / "other"
    shutil.copytree(files, other)
    (other / "more.txt").write_text("more")
    with pytest.raises(InputError, match="the release began with") as refused:
        base.have(said, other, NOBODY, tmp_path / "base")
    assert f"--revision {COMMIT}" in refused.value.mend
    (other / "more.txt").unlink()
    weights = other / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="the release began with"):
        base.have(said, other, NOBODY, tmp_path / "base")
    weights.unlink()
    weights.symlink_to(files / "model.safetensors")
    with pytest.raises(Malformed, match="a link"):
        base.have(said, other, NOBODY, tmp_path / "base")
    with pytest.raises(InputError):
        base.have(said, tmp_path / "nowhere", NOBODY, tmp_path / "base")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        base.have(said, tmp_path / "empty", NOBODY, tmp_path / "base")
    assert not os.path.lexists(tmp_path / "base")


def test_a_base_whose_hub_does_not_answer_is_unknown_and_the_mend_says_how_to_give_it(
    signed: tuple[Path, api.Policy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the library's tries, 23 seconds in all
    with pytest.raises(Unavailable, match="cannot be had") as unknown:
        base.have(record(signed[0]), None, NOBODY, tmp_path / "base")
    assert "--base DIR" in unknown.value.mend and unknown.value.exit_code == 3


def test_a_release_whose_settings_name_a_base_needs_the_record_of_it(tmp_path: Path) -> None:
    root = tmp_path / "release"
    synthetic_release.write(root)
    assert base.recorded(root) is None
    (root / layout.PARAMS).write_text("base: anything else that a project calls so\n")
    assert base.recorded(root) is None
    (root / layout.PARAMS).write_text(f"base: {{model: hf://org/base@{COMMIT}}}\n")
    with pytest.raises(Unavailable, match=layout.BASE):
        base.recorded(root)


def test_the_stage_takes_what_it_is_given_and_verifies_it_without_a_hub(
    signed: tuple[Path, api.Policy], tmp_path: Path
) -> None:
    files, policy = signed
    made = BaseStage(project(tmp_path / "verified", policy), NOBODY, given=files).run()
    assert made.verification is not None and "org/base@v1.0.0" in made.verification.established
    assert {check.step for check in made.verification.checks} == {2, 3, 4, 5}
    assert made.model_copy(update={"verification": None}) == record(files)
    assert canonical.read(tmp_path / "verified" / folders.BASE_RECORD, max_bytes=1 << 20) == made.as_json()
    unverified = BaseStage(project(tmp_path / "bare", None), NOBODY, given=files).run()
    assert unverified == record(files)


def test_what_the_policy_does_not_pass_is_not_taken_from_a_folder_either(
    signed: tuple[Path, api.Policy], tmp_path: Path
) -> None:
    files, policy = signed
    changed = tmp_path / "changed"
    shutil.copytree(files, changed)
    (changed / "config.json").write_text("{}")
    root = project(tmp_path / "project", policy)
    with pytest.raises(api.FailedReport):
        BaseStage(root, NOBODY, given=changed).run()
    other = api.Policy(signers=(api.KeySigner(write_key(tmp_path / "other.pem")).public_key,))
    with pytest.raises(api.FailedReport):
        BaseStage(project(tmp_path / "others", other), NOBODY, given=files).run()
    (changed / "attestations/release.sigstore.json").unlink()
    with pytest.raises((api.FailedReport, api.UnknownReport)):
        BaseStage(root, NOBODY, given=changed).run()
    assert not list(tmp_path.glob("*/build/*"))
