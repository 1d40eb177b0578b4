"""The model that a fine-tuning began with: taken when its policy passes it, and followed by whoever verifies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry import api
from registry.attest.verifier import Verifier
from registry.errors import InputError, Refused, Unavailable, VerificationError
from registry.hub.client import HubClient
from registry.records import layout
from registry.records.base_record import Base
from registry.release.base_stage import BaseStage
from registry.report import FailedReport, Report, Verdict
from registry.verification.following import DEPTH, FollowBases
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A Hub with `org/base`, signed by `makers` alone; `ours` signs what is made of it."""
    folder = tmp_path_factory.mktemp("bases")
    makers, ours = (api.KeySigner(write_key(folder / f"{name}.pem")) for name in ("makers", "ours"))
    with HubInstance.start(folder / "hub", organizations=("org",)) as hub, pytest.MonkeyPatch.context() as patch:
        for variable, value in hub.environment(folder / "huggingface").items():
            patch.setenv(variable, value)
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        synthetic_release.write(folder / "base", repo="org/base", weights_bytes=2 << 20)
        api.sign(folder / "base", makers)
        api.publish(folder / "base")
        yield SimpleNamespace(
            folder=folder, hub=hub, ours=ours, commit=HubClient().refs.resolve("org/base", "v1.0.0"),
            policy=api.Policy(signers=(ours.public_key,)), trusted=api.Policy(signers=(makers.public_key,)),
        )  # fmt: skip


def taken(world: SimpleNamespace, root: Path, policy: api.Policy | None, **changed: str) -> Base:
    """What the stage of a fine-tuning in the new project `root` records of org/base."""
    root.mkdir()
    base: dict[str, Any] = {"model": f"hf://org/base@{world.commit}"} | changed
    if policy is not None:
        (root / "base-policy.yaml").write_text(json.dumps(policy.as_json()))
        base["policy"] = "base-policy.yaml"
    (root / "params.yaml").write_text(json.dumps({"base": base}))
    return BaseStage(root).run()


def tuned(world: SimpleNamespace, folder: Path, base: Base) -> Path:
    """A signed release that began with `base`."""
    synthetic_release.write(folder, repo="org/tuned", seed=1, extra={layout.BASE: base.to_bytes()})
    api.sign(folder, world.ours)
    return folder


def said(report: Report, base: Base) -> tuple[Verdict, str]:
    (check,) = [check for check in report.checks if check.subject == base.uri]
    return check.verdict, check.reason


def test_a_base_is_verified_before_it_is_taken_and_again_by_whoever_asks(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    base = taken(world, tmp_path / "project", world.trusted)
    assert base.verification is not None and "org/base@v1.0.0" in base.verification.established
    assert {check.step for check in base.verification.checks} == {2, 3, 4, 5}
    assert str(tmp_path) not in base.to_bytes().decode()
    assert taken(world, tmp_path / "again", world.trusted) == base
    release = tuned(world, tmp_path / "tuned", base)
    report = api.verify(release, world.policy, bases=True)
    assert report.verdict is Verdict.PASS, [check for check in report.checks if check.verdict is not Verdict.PASS]
    assert said(report, base)[1].startswith(f"its {base.files} files are those that the training began with")
    (link,) = [check for check in report.checks if check.subject == "weights <- base"]
    assert base.uri in link.reason and "written by the stage base" in link.reason
    unasked = api.verify(release, world.policy)
    assert unasked.verdict is Verdict.UNKNOWN and "--bases" in said(unasked, base)[1]
    assert api.fetch(release, world.policy, bases=True) == release


def test_whom_the_asker_names_counts_more_than_whom_the_record_names(world: SimpleNamespace, tmp_path: Path) -> None:
    release = tuned(world, tmp_path / "tuned", base := taken(world, tmp_path / "project", world.trusted))
    report = api.verify(release, world.policy, bases=True, base_policy=world.policy)
    assert report.verdict is Verdict.FAIL and "org/base" in said(report, base)[1]
    with pytest.raises(InputError, match="nobody asked"):
        api.verify(release, world.policy, base_policy=world.policy)


def test_a_base_that_nobody_vouches_for_is_not_verifiable_and_its_bytes_are_compared(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    base = taken(world, tmp_path / "project", None)
    assert base.verification is None
    release = tuned(world, tmp_path / "tuned", base)
    report = api.verify(release, world.policy, bases=True)
    verdict, reason = said(report, base)
    assert (report.verdict, verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN) and "not verifiable" in reason
    assert api.verify(release, world.policy, bases=True, base_policy=world.trusted).verdict is Verdict.PASS


@pytest.mark.parametrize("signed", [True, False])
def test_a_base_that_was_tampered_with_fails(world: SimpleNamespace, tmp_path: Path, signed: bool) -> None:
    base = taken(world, tmp_path / "project", world.trusted if signed else None)
    release = tuned(world, tmp_path / "tuned", base)
    (weights,) = [
        path for path in (world.hub.root / "blobs").rglob("*") if path.is_file() and path.stat().st_size > 1 << 20
    ]
    before = weights.read_bytes()
    weights.chmod(0o644)
    try:
        weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        verdict, reason = said(api.verify(release, world.policy, bases=True), base)
    finally:
        weights.write_bytes(before)
    assert verdict is Verdict.FAIL and "recorded as sha256" in reason, reason


def test_a_base_that_is_gone_is_unknown(world: SimpleNamespace, tmp_path: Path) -> None:
    base = taken(world, tmp_path / "project", world.trusted).model_copy(update={"repo": "org/gone"})
    report = api.verify(tuned(world, tmp_path / "tuned", base), world.policy, bases=True)
    assert (report.verdict, said(report, base)[0]) == (Verdict.UNKNOWN, Verdict.UNKNOWN)


def test_weights_that_no_stage_made_of_the_base_fail(
    world: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = taken(world, tmp_path / "project", world.trusted)
    plan = {"base": ((), (synthetic_release.BASE, layout.BASE)), **synthetic_release.STAGES}
    monkeypatch.setattr(synthetic_release, "_plan", lambda folder, opened: plan)
    report = api.verify(tuned(world, tmp_path / "tuned", base), world.policy, bases=True)
    (link,) = [check for check in report.checks if check.subject == "weights <- base"]
    assert link.verdict is Verdict.FAIL and "no dependency leads" in link.reason


@pytest.mark.parametrize("named", [{}, {"revision": None}, {"base_model_name_or_path": "org/other"}])
def test_an_adapter_that_has_loaders_take_another_base_is_unknown(
    world: SimpleNamespace, tmp_path: Path, named: dict[str, str | None]
) -> None:
    base = taken(world, tmp_path / "project", world.trusted)
    adapter = {"base_model_name_or_path": base.repo, "revision": base.commit, "peft_type": "LORA"} | named
    extra = {layout.BASE: base.to_bytes(), "adapter_config.json": json.dumps(adapter).encode()}
    synthetic_release.write(tmp_path / "adapter", repo="org/tuned", seed=1, extra=extra)
    api.sign(tmp_path / "adapter", world.ours)
    report = api.verify(tmp_path / "adapter", world.policy, bases=True)
    (link,) = [check for check in report.checks if check.subject == "weights <- base"]
    assert link.verdict is (Verdict.UNKNOWN if named else Verdict.PASS), link.reason


def test_what_the_policy_does_not_pass_never_appears(world: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(FailedReport):
        taken(world, tmp_path / "project", world.policy)
    assert not list((tmp_path / "project").rglob("build/*"))


def test_a_base_that_nobody_verifies_may_not_run_code(world: SimpleNamespace, tmp_path: Path) -> None:
    (folder := tmp_path / "pickled").mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04}.")
    hub = HubClient()
    hub.repos.ensure("org/pickled")
    commit = hub.trees.publish(
        "org/pickled", folder, "A pickle", hub.refs.head("org/pickled"), keep=(".gitattributes",)
    )
    with pytest.raises(Refused, match=r"pytorch_model\.bin"):
        taken(world, tmp_path / "project", None, model=f"hf://org/pickled@{commit}")
    assert not list((tmp_path / "project").rglob("build/*"))


@pytest.mark.parametrize(
    "model", ["hf://org/base@main", "hf://org/base", "org/base@" + "a" * 40, "hf://../x@" + "a" * 40]
)
def test_a_base_is_named_by_its_commit(world: SimpleNamespace, tmp_path: Path, model: str) -> None:
    with pytest.raises(InputError, match=r"base\.model"):
        taken(world, tmp_path / "project", None, model=model)


def test_bases_behind_bases_are_followed_within_bounds(world: SimpleNamespace, tmp_path: Path) -> None:
    first = taken(world, tmp_path / "project", world.trusted)
    middle = tuned(world, tmp_path / "tuned", first)
    api.publish(middle)
    commit = HubClient().refs.resolve("org/tuned", "v1.0.0")
    second = taken(world, tmp_path / "second", world.policy, model=f"hf://org/tuned@{commit}")
    verifier = Verifier(world.policy)
    assert "org/tuned@v1.0.0" in FollowBases()(second, verifier)
    with pytest.raises(VerificationError, match="leads back to itself"):
        FollowBases(met=(second.uri,))(second, verifier)
    with pytest.raises(FailedReport, match="leads back to itself"):
        FollowBases(met=(first.uri,))(second, verifier)
    with pytest.raises(Unavailable, match=f"more than {DEPTH}"):
        FollowBases(met=tuple(map(str, range(DEPTH))))(second, verifier)
