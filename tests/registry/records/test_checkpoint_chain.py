"""registry.records.checkpoint_chain: each checkpoint is bound to the one before."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.errors import InputError, VerificationError
from registry.records import checkpoint_chain
from registry.records.checkpoint_chain import FIRST, MAX_ENTRIES, Chain, Checkpoint, FileDigests, ProfileName
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation

EMPTY = Chain(tokens="a" * 64, recipe="b" * 64, profile=ProfileName(name="portable", digest="c" * 64), entries=())


def digests(kind: str, step: int) -> FileDigests:
    return FileDigests(file=canonical.digest([kind, step, "file"]), tensors=canonical.digest([kind, step]))


def chain(*steps: int) -> Chain:
    built = EMPTY
    for step in steps:
        built = built.extended(
            step=step,
            weights=digests("weights", step),
            optimizer=digests("optimizer", step),
            end=step * 16,
            loss=4.5 / step if step else None,
        )
    return built


GOOD = chain(0, 1, 2, 4, 7)


def test_a_chain_that_was_built_holds() -> None:
    GOOD.verify()
    assert GOOD.entries[0].previous == FIRST
    assert GOOD.entries[3].previous == GOOD.entries[2].digest
    assert GOOD.head == GOOD.entries[-1].digest
    assert GOOD.consumed == 112
    assert GOOD.up_to(2) == chain(0, 1)


@given(st.sets(st.integers(1, 10_000), max_size=20))
def test_json_is_the_chain(steps: set[int]) -> None:
    built = chain(0, *sorted(steps))
    built.verify()
    assert Chain.from_bytes(built.to_bytes(), name="checkpoints.json") == built


def test_a_chain_has_no_more_entries_than_its_json_can_have_objects_for(monkeypatch: pytest.MonkeyPatch) -> None:
    beside, each = checkpoint_chain.OBJECTS
    for built in (EMPTY, GOOD):
        assert built.to_bytes().count(b"{") == beside + each * len(built.entries)
    assert beside + each * MAX_ENTRIES <= canonical.MAX_OBJECTS < beside + each * (MAX_ENTRIES + 1)
    assert len(GOOD.to_bytes()) / len(GOOD.entries) * MAX_ENTRIES < canonical.MAX_BYTES
    monkeypatch.setattr(checkpoint_chain, "MAX_ENTRIES", 3)
    with pytest.raises(InputError, match="no room for one more"):
        chain(0, 1, 2, 4)


def altered(index: int, **values: Any) -> Chain:
    entries = list(GOOD.entries)
    entries[index] = entries[index].model_copy(update=values)
    return GOOD.model_copy(update={"entries": tuple(entries)})


def rehashed(entries: list[Checkpoint]) -> Chain:
    """As a forger would: every link made anew."""
    built = EMPTY
    for entry in entries:
        linked = entry.model_copy(update={"previous": built.head})
        built = built.model_copy(update={"entries": (*built.entries, linked)})
    return built


E0, E1, E2, E4, E7 = GOOD.entries


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (EMPTY, "no entry"),
        (chain(1, 2), "starts at step 1"),
        (altered(2, loss=1.0), "step 4 names"),
        (altered(2, weights=digests("other", 2)), "step 4 names"),
        (altered(1, previous="0" * 64), "step 1 names"),
        (GOOD.model_copy(update={"entries": (E0, E2, E1, E4, E7)}), "step"),
        (GOOD.model_copy(update={"entries": (E0, E1, E4, E7)}), "step 4"),
        (rehashed([E0, E1, E4, E7]), "uses rows 32 to 64"),
        (rehashed([E0, E1, E1]), "step 1 follows step 1"),
        (rehashed([E0, E1, E2.model_copy(update={"weights": E0.weights})]), "steps 0 and 2 have the same"),
        (rehashed([E0, E1, E2.model_copy(update={"optimizer": E1.optimizer})]), "steps 1 and 2 have the same"),
        (rehashed([E0, E1.model_copy(update={"loss": None})]), "states no loss"),
        (rehashed([E0.model_copy(update={"optimizer": E0.weights}), E1]), "step 0 has one digest"),
    ],
)
def test_a_chain_that_was_changed_does_not_hold(broken: Chain, named: str) -> None:
    with pytest.raises(VerificationError, match=named):
        broken.verify()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["schema", "entries", "tokens", "step", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_other_json_is_refused(value: Any) -> None:
    for record in (Chain, Evaluation, Environment):
        with pytest.raises(InputError):
            record.from_json(value, name="record")


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        Chain.from_bytes(data, name="checkpoints.json")


def test_one_byte_of_a_chain_changed_is_seen() -> None:
    data = bytearray(GOOD.to_bytes())
    for at in range(0, len(data), 7):
        data[at] ^= 1
        try:
            read = Chain.from_bytes(bytes(data), name="checkpoints.json")
            if read.up_to(0) == EMPTY and read.head == GOOD.head:
                read.verify()
                pytest.fail(f"byte {at} was changed unseen")
        except (InputError, VerificationError):
            pass
        data[at] ^= 1


def test_positions_do_not_run_backwards(tmp_path: Path) -> None:
    value = GOOD.as_json()
    value["entries"][1]["positions"] = {"start": 16, "end": 0}
    path = tmp_path / "checkpoints.json"
    path.write_bytes(canonical.dumps(value))
    with pytest.raises(InputError, match="back to 0"):
        Chain.read(path)
