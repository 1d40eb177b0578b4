"""registry.merkle against the vectors of RFC 6962's reference code, and its own laws."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import merkle

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("count", range(1, 9))
def test_the_roots_of_certificate_transparency(count: int) -> None:
    assert merkle.root(LEAVES[:count]) == ROOTS[count - 1]


def test_the_empty_tree() -> None:
    assert merkle.root([]) == hashlib.sha256(b"").hexdigest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_every_leaf_has_a_proof_that_leads_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.proof(leaves, index)
    assert merkle.root_of_proof(leaves[index], index, len(leaves), path) == merkle.root(leaves)


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=2, max_size=20, unique=True), st.data())
def test_another_leaf_or_another_place_does_not_lead_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1).filter(lambda i: i != index))
    path = merkle.proof(leaves, index)
    root = merkle.root(leaves)
    assert merkle.root_of_proof(leaves[other], index, len(leaves), path) != root
    assert merkle.root_of_proof(leaves[index], other, len(leaves), path) != root
    assert merkle.root_of_proof(leaves[index], index, len(leaves), [*path, "00" * 32]) is None
    assert merkle.root_of_proof(leaves[index], index, len(leaves), path[:-1]) != root


@given(st.integers(-2, 20), st.integers(0, 20), st.lists(st.text(max_size=70), max_size=6))
def test_a_hostile_proof_raises_nothing(index: int, count: int, path: list[str]) -> None:
    merkle.root_of_proof(b"leaf", index, count, path)


def test_a_leaf_cannot_pass_for_an_inner_node() -> None:
    pair = merkle.leaf_hash(b"a") + merkle.leaf_hash(b"b")
    assert merkle.root([pair]) != merkle.root([b"a", b"b"])


@given(st.lists(st.lists(st.binary(max_size=8), max_size=40), max_size=5))
def test_many_leaves_at_once_give_the_root_of_one_after_the_other(parts: list[list[bytes]]) -> None:
    builder = merkle.RootBuilder()
    for part in parts:
        builder.extend(part)
    assert builder.root() == merkle.root([leaf for part in parts for leaf in part])
