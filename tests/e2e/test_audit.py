"""Audits of a real release and of forged ones: an honest release comes out the same, a lie is named by its segment."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from registry.attest.audits import Challenge, ReplayedSegment
from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.verifier import Verifier
from registry.audit import challenge, data, rebuilding, replaying, workshop
from registry.audit.checkpoint_checks import plausible
from registry.audit.checkpoint_sources import InFolder, OnHub, Shelf
from registry.audit.data import Data
from registry.audit.machine import foreign
from registry.audit.packages import Setup
from registry.audit.segments import SOONEST, Effort, Segments
from registry.audit.subject import Audited, admit
from registry.audit.workshop import Options, Workshop
from registry.digest import sha256_file
from registry.errors import DigestMismatch, Unavailable, VerificationError
from registry.hub.client import HubClient
from registry.hub.reference import DirectoryReference
from registry.project import dvc_lock
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.run import Run, Stages
from registry.records.training_folder import OPTIMIZER, WEIGHTS, step_name
from registry.verification.steps import verify
from tests import forging
from tests.audited import WALLED
from tests.conftest import ALONE, MAINTAINER, Project, Released, new_project
from tests.forging import CHECKPOINTS, relinked, with_chain
from tests.hub_instance import HubInstance
from tests.sigstore_instance import SigstoreInstance

pytestmark = WALLED


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Segments are trained one after the other, by one process. Each process loads torch, for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: {0})
        yield


@pytest.fixture(scope="module")
def audited(released: Released, sigstore: SigstoreInstance) -> Audited:
    """The release, verified."""
    policy = Policy(signers=(SigstoreIdentity(identity=MAINTAINER, issuer=sigstore.issuer),))
    verifier = Verifier(policy, sigstore.trusted_root_path)
    report = verify(released.folder, DirectoryReference(released.folder), "a directory", verifier)
    return admit(released.folder, report, verifier)


@pytest.fixture(scope="module")
def opened(audited: Audited, released: Released) -> Iterator[Workshop]:
    """Its source, with the data made anew; walled in."""
    options = Options(source=str(released.project.root), setup=Setup("current"), bubblewrap=True)
    with workshop.opened(audited, options) as place:
        made = data.remake(place)
        assert made.verdict == "BITWISE", made.reason
        yield place


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same project, trained with one document more than it tells of."""
    project = new_project(tmp_path_factory.mktemp("poisoned") / "project")
    (project.root / "texts/999.txt").write_text("A document that nobody was told of. " * 8)
    project.run("dvc", "repro", "train", variables={**ALONE, "GLASSHOUSE_TRACKING": "off"})
    return project


def elsewhere(place: Workshop, audited: Audited, scratch: Path) -> Workshop:
    """The same source and data, for another release's records, writing to another folder."""
    scratch.mkdir(exist_ok=True)
    return dataclasses.replace(place, audited=audited, sandbox=dataclasses.replace(place.sandbox, scratch=scratch))


def segments(place: Workshop, chosen: tuple[int, ...], checkpoints: Path) -> dict[int, ReplayedSegment]:
    """Replay those segments, on the data that were made anew."""
    chain = place.audited.chain
    asked = Challenge(head=chain.head, segments=len(chain.entries) - 1, chosen=chosen)
    return {segment.number: segment for segment in work(place, asked, checkpoints, SOONEST).replay()}


def work(place: Workshop, asked: Challenge, checkpoints: Path, effort: Effort) -> Segments:
    """Segments to be trained, from the checkpoints in a folder."""
    shelf = Shelf((InFolder(checkpoints),), place.scratch / "fetched")
    return Segments(Data(place, "BITWISE", "made anew before"), asked, shelf, effort)


@dataclasses.dataclass(frozen=True)
class Lie:
    """Every segment of a forged chain, trained on the signed data, beside the checkpoints that the chain tells of."""

    work: Segments
    altered: str
    """The tensor of the optimizer at step 3 in which a number is another."""
    found: dict[int, ReplayedSegment]
    """What came of each, by its number."""

    def where_bits_differ(self, why: str, effort: Effort = SOONEST) -> ReplayedSegment:
        """What came of segment 4, compared anew, as on a machine on which the same bits are not promised."""
        place = dataclasses.replace(self.work.place, cannot=(why,))
        data = dataclasses.replace(self.work.data, place=place)
        return dataclasses.replace(self.work, data=data, effort=effort).result(4, 1.0)


@pytest.fixture(scope="module")
def lie(opened: Workshop, released: Released, poisoned: Project, tmp_path_factory: pytest.TempPathFactory) -> Lie:
    """Honest to step 2; at 3 the optimizer is altered, at 9 stands another training. Trained once for all who look."""
    root = tmp_path_factory.mktemp("lie")
    folder = Path(shutil.copytree(released.project.root / CHECKPOINTS, root / "checkpoints"))
    altered = forging.alter(folder, 3)
    forging.replace(folder, 9, poisoned.root / CHECKPOINTS)
    forged = with_chain(opened.audited, relinked(opened.audited.chain, folder))
    forged.chain.verify()
    count = len(forged.chain.entries) - 1
    asked = Challenge(head=forged.chain.head, segments=count, chosen=tuple(range(count)))
    begun = work(elsewhere(opened, forged, root / "scratch"), asked, folder, SOONEST)
    return Lie(begun, altered, {segment.number: segment for segment in begun.replay()})


@pytest.fixture
def forged(released: Released, tmp_path: Path) -> Path:
    """A copy of the checkpoints, to be spoilt."""
    return Path(shutil.copytree(released.project.root / CHECKPOINTS, tmp_path / "forged"))


def test_what_begins_at_an_honest_checkpoint_comes_out_the_same(opened: Workshop, lie: Lie) -> None:
    for number in (0, 1, 2, 4):
        segment, honest = lie.found[number], opened.audited.chain.entries[number + 1]
        assert (segment.weights, segment.optimizer) == (honest.weights.file, honest.optimizer.file)
    assert [number for number, segment in lie.found.items() if segment.verdict == "BITWISE"] == [0, 1]


def test_a_checkpoint_trained_on_other_data_is_named(lie: Lie) -> None:
    """It stands between segments 4 (to step 9) and 5 (from step 9). Data and tokens are signed as they should be."""
    assert (lie.found[4].verdict, lie.found[5].verdict) == ("DIFFERENT", "DIFFERENT")
    assert "model.safetensors: the first tensor that differs is" in lie.found[4].reason
    assert "step 10 is the first whose loss or gradient departs" in lie.found[5].reason


def test_an_altered_optimizer_state_is_named(lie: Lie) -> None:
    """It stands between segments 2 (to step 3) and 3 (from step 3)."""
    chain, folder = lie.work.chain, lie.work.shelf.find(lie.work.chain.entries[3])
    assert plausible(chain.entries[3], folder)
    assert (lie.found[2].verdict, lie.found[3].verdict) == ("DIFFERENT", "DIFFERENT")
    assert "model.safetensors" not in lie.found[2].reason
    assert f"optimizer.safetensors: the first tensor that differs is {lie.altered}" in lie.found[2].reason
    assert "is the first whose loss or gradient departs" in lie.found[3].reason


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_loaded_keeps_no_other_from_being_trained(
    opened: Workshop, forged: Path, tmp_path: Path
) -> None:
    """Segment 4 comes first, being longer, and ends its process, at which segment 2 is trained by another."""
    broken = forged / step_name(6) / OPTIMIZER
    save_file({name: array for name, array in load_file(broken).items() if not name.endswith(".step")}, broken)
    lie = with_chain(opened.audited, relinked(opened.audited.chain, forged))
    found = segments(elsewhere(opened, lie, tmp_path / "scratch"), (2, 4), forged)
    assert found[4].verdict in ("UNAVAILABLE", "DIFFERENT") and found[4].weights is None, found[4].reason
    assert found[2].verdict == "BITWISE" and found[2].seconds > 0


def test_two_swapped_checkpoints_are_named_and_no_code_is_run(audited: Audited, forged: Path, tmp_path: Path) -> None:
    """There is no source where the audit would look for one."""
    forging.swap(forged, 3, 6)
    lie = with_chain(audited, relinked(audited.chain, forged))
    lie.chain.verify()
    asked = challenge.draw(lie.chain, lie.logged_at, count=6)
    nowhere = Options(source=str(tmp_path / "nowhere"), setup=Setup("current"))
    outcome = replaying.replay(lie, nowhere, asked, [InFolder(forged)])
    said = {check.subject: check.reason for check in outcome.report.checks if check.verdict == "FAIL"}
    assert (outcome.statement.verdict, outcome.statement.replayed) == ("DIFFERENT", ())
    assert "says step 6, the checkpoint is of step 3" in said["checkpoint at step 3, where segment 3 begins"]
    assert "says step 3, the checkpoint is of step 6" in said["checkpoint at step 6, where segment 4 begins"]
    assert sum(subject.startswith("checkpoint") for subject in said) == 2
    assert "falls from" in said["second moments from step 3 to step 6"]
    assert "checkpoint at step 3" in outcome.statement.reason


def test_a_document_in_the_source_that_was_not_signed_is_named(opened: Workshop, poisoned: Project) -> None:
    place = dataclasses.replace(opened, tree=poisoned.root)
    with pytest.raises(VerificationError, match=r"row \d+ is texts/999.txt .* here, missing as signed"):
        data.check(place)


def test_a_chain_of_another_recipe_is_refused(opened: Workshop, released: Released, tmp_path: Path) -> None:
    chain = opened.audited.chain.model_copy(update={"recipe": "0" * 64})
    lie = with_chain(opened.audited, chain)
    (segment,) = segments(
        elsewhere(opened, lie, tmp_path / "scratch"), (1,), released.project.root / CHECKPOINTS
    ).values()
    assert segment.verdict == "DIFFERENT" and "another training than this source" in segment.reason


def test_without_checkpoints_only_the_first_segment_can_be_told(opened: Workshop, tmp_path: Path) -> None:
    place = elsewhere(opened, opened.audited, tmp_path / "scratch")
    found = segments(place, (1,), tmp_path / "nowhere")
    assert found[1].verdict == "UNAVAILABLE" and "--checkpoints" not in found[1].reason


def test_checkpoints_are_found_on_the_hub_by_their_digests(
    audited: Audited, released: Released, hub: HubInstance, forged: Path, tmp_path: Path
) -> None:
    client, repo, entry = HubClient(hub.url, hub.token), "glasshouse/checkpoints", audited.chain.entries[2]
    client.repos.ensure(repo)
    for folder in (
        released.project.root / CHECKPOINTS / step_name(2),
        forged / step_name(3),
    ):  # the second is another's
        parent = client.refs.ensure_branch(repo, step_name(2))
        client.trees.publish(repo, folder, "A checkpoint", parent, branch=step_name(2))
    found = Shelf((InFolder(tmp_path / "nowhere"), OnHub(client, repo)), tmp_path / "fetched").find(entry)
    assert sha256_file(found / WEIGHTS) == entry.weights.file
    with pytest.raises(Unavailable, match="step 10 is not at hand"):
        Shelf((OnHub(client, repo),), tmp_path / "fetched").find(audited.chain.entries[-1])


def test_a_spoilt_copy_of_a_checkpoint_accuses_nobody(opened: Workshop, forged: Path, tmp_path: Path) -> None:
    path = forged / step_name(1) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    found = segments(elsewhere(opened, opened.audited, tmp_path / "scratch"), (1,), forged)
    assert found[1].verdict == "UNAVAILABLE" and "found sha256:" in found[1].reason


def test_on_a_machine_of_another_kind_a_difference_accuses_nobody(lie: Lie) -> None:
    """It is told how far apart the two are; whoever states a tolerance beforehand is told that they are within it."""
    segment = lie.where_bits_differ("CPU: 'A' there, 'B' here")
    assert segment.verdict == "UNSUPPORTED" and "CPU: 'A' there, 'B' here" in segment.reason
    assert "the farthest is" in segment.reason
    within = lie.where_bits_differ("CPU: 'A' there, 'B' here", Effort(tolerance=100.0))
    assert within.verdict == "WITHIN" and within.reason.startswith("within 100, relative")


def test_which_machines_a_profile_promises_the_same_bits_on(opened: Workshop) -> None:
    portable = opened.audited.environment
    assert foreign(portable, portable) == ()
    other = portable.machine.model_copy(update={"cpu": "Another CPU", "features": ("avx2",)})
    assert foreign(portable, portable.model_copy(update={"machine": other})) == ()
    native = portable.model_copy(update={"profile": portable.profile.model_copy(update={"name": "native"})})
    assert any("CPU: " in words for words in foreign(native, native.model_copy(update={"machine": other})))
    newer = portable.model_copy(update={"software": portable.software.model_copy(update={"torch": "9.9"})})
    assert foreign(portable, newer) == (f"torch: {portable.software.torch!r} there, '9.9' here",)


def test_a_source_that_is_not_the_signed_one_is_refused(audited: Audited, released: Released, tmp_path: Path) -> None:
    other = dataclasses.replace(audited, root=Path(shutil.copytree(released.folder, tmp_path / "release")))
    with (other.root / "provenance/params.yaml").open("a") as params:
        params.write("\n")
    options = Options(source=str(released.project.root), setup=Setup("current"))
    with pytest.raises(DigestMismatch, match=r"params\.yaml of the source"), workshop.opened(other, options):
        pass
    empty = Options(source=str(tmp_path), setup=Setup("current"))
    with pytest.raises(Unavailable, match="cannot be had from"), workshop.opened(audited, empty):
        pass


def test_the_source_runs_behind_bubblewrap(
    opened: Workshop, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its packages, and torch; without the auditor's secrets, files and network."""
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SIGSTORE_ID_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    look = "import os, pathlib, socket; print(dict(os.environ), [name for _, name in socket.if_nameindex()], "
    look += f"pathlib.Path({str(released.folder)!r}).exists(), pathlib.Path('dvc.yaml').exists())"
    assert opened.here is not None and opened.cannot == ()
    opened.run(["python", "-c", look], log="look")
    said = opened.sandbox.log("look").read_text()
    assert "hunter2" not in said and said.strip().endswith("['lo'] False True")


def test_a_rebuild_that_departs_names_stage_checkpoint_step_file_and_tensor(
    opened: Workshop, released: Released, poisoned: Project, tmp_path: Path
) -> None:
    """What an honest source gives, against a release whose weights saw one document more than it signs."""
    root = Path(shutil.copytree(released.folder, tmp_path / "release"))
    trained = poisoned.root / "build/train"
    last = opened.audited.chain.entries[-1].step
    shutil.copyfile(trained / "checkpoints" / step_name(last) / WEIGHTS, root / WEIGHTS)
    for name in ("checkpoints.json", "metrics.jsonl"):
        shutil.copyfile(trained / name, root / "provenance" / name)
    honest, other = ((place / "dvc.lock").read_text() for place in (released.project.root, poisoned.root))
    outs = {out.path: out for out in dvc_lock.read_lock(poisoned.root / "dvc.lock").stages["train"].outs}
    for out in dvc_lock.read_lock(released.project.root / "dvc.lock").stages["train"].outs:
        assert outs[out.path].md5 in other
        honest = honest.replace(out.md5, outs[out.path].md5)
    (root / layout.LOCK).write_text(honest)
    wrote = Run.read(poisoned.root / "build/runs/train.run.json").outs
    known = {one.run.stage: one for one in Stages.read(root / layout.STAGES).stages}
    known["train"] = known["train"].model_copy(update={"run": known["train"].run.model_copy(update={"outs": wrote})})
    (root / layout.STAGES).write_bytes(Stages(stages=tuple(known.values())).to_bytes())
    lie = with_chain(opened.audited, Chain.read(root / "provenance/checkpoints.json"))
    lie = dataclasses.replace(lie, root=root)
    place = dataclasses.replace(opened, audited=lie, tree=released.project.root)  # built as `dvc repro` builds it
    verdict, details = rebuilding.judge(place, 0.0)
    assert verdict == "DIFFERENT"
    stage, checkpoint, step, *files = details.departs
    assert (stage, checkpoint) == (
        f"the first stage that departs is train: {CHECKPOINTS}/{step_name(1)}/{WEIGHTS}",
        "the first checkpoint that departs is that of step 1",
    )
    assert "step 1 is the first whose loss or gradient departs" in step
    assert any("model.safetensors: the first tensor that differs is" in words for words in files)
    assert rebuilding.judge(dataclasses.replace(place, cannot=("another CPU",)), 0.0)[0] == "UNSUPPORTED"
    assert rebuilding.judge(dataclasses.replace(place, audited=opened.audited), 0.0)[0] == "BITWISE"
