"""pipelines.nodes: what torchrun is told, and by which address and interface nodes reach each other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import group, nodes
from pipelines.params import Torchrun, Train
from registry.errors import InputError, Refused, Unavailable
from tests.pipelines import small_project

LAUNCH = Torchrun(least_nodes=2, most_nodes=4)


def told(processes: int = 2) -> dict[str, str]:
    words = (word.removeprefix("--").partition("=") for word in nodes.arguments(LAUNCH, processes))
    return {name: value for name, _, value in words}


def test_without_a_meeting_a_node_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSHOUSE_MEETING", raising=False)
    found = told()
    assert (found["nnodes"], found["nproc-per-node"], found["local-addr"]) == ("1:1", "2", "127.0.0.1")
    assert "rdzv-conf" not in found
    assert nodes.keeps_record()


def test_the_node_at_the_meeting_keeps_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_MEETING", "127.0.0.1:29400")
    monkeypatch.setenv("PET_RDZV_CONF", "last_call_timeout=3")
    found = told()
    assert (found["nnodes"], found["rdzv-endpoint"], found["rdzv-id"]) == ("2:4", "127.0.0.1:29400", "training")
    assert found["rdzv-conf"] == "last_call_timeout=3,is_host=1"


def test_addresses_have_interfaces() -> None:
    assert nodes.own_address("127.0.0.1", 1) == "127.0.0.1"
    assert nodes.interface("127.0.0.1") == "lo"
    assert nodes.interface("192.0.2.1") is None  # for documentation only: RFC 5737


@pytest.mark.parametrize("said", ["", "10.0.0.1", ":29400", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "a:b"])
def test_what_is_not_an_address_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_MEETING", said)
    with pytest.raises(InputError, match="HOST:PORT"):
        nodes.meeting()


def test_a_refusal_is_kept_for_the_node_until_a_worker_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_REFUSAL", str(place := tmp_path / "refusal"))
    with pytest.raises(Refused), nodes.refusal_kept():
        raise Refused("other checkpoints", mend="share one folder")
    assert place.read_text() == "2"
    with pytest.raises(Unavailable), nodes.refusal_kept():  # a lost connection takes nothing back
        raise Unavailable("a peer is gone", mend="again")
    assert place.is_file()
    with nodes.refusal_kept():
        pass
    assert not place.exists()
    monkeypatch.delenv("GLASSHOUSE_REFUSAL")
    with pytest.raises(Refused), nodes.refusal_kept():
        raise Refused("other checkpoints", mend="share one folder")


def test_a_process_that_is_gone_is_no_fault_of_the_training() -> None:
    gone = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.203.77.1]:29400"
    with pytest.raises(Unavailable, match=r"another process is gone: .*closed by peer"), group._loss_told():
        raise RuntimeError(gone)
    with pytest.raises(RuntimeError, match="shapes"), group._loss_told():
        raise RuntimeError("shapes of the tensors do not fit")


def test_how_processes_are_started_decides_no_bit() -> None:
    here = Train.model_validate(small_project.TRAIN)
    assert here.model_copy(update={"launch": LAUNCH}).deciding() == here.deciding()
    assert here.model_copy(update={"steps": 11}).deciding() != here.deciding()


@given(st.integers(1, 200), st.integers(0, 6))
def test_the_largest_power_of_two_trains(started: int, more: int) -> None:
    leaves = 1 << more
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(started))
        patch.setenv("RANK", str(started - 1))
        found = group.of_environment(leaves)
    assert found.world & (found.world - 1) == 0
    assert found.world <= min(started, leaves) < 2 * found.world
    assert found.spare == (started > found.world)
