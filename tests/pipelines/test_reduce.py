"""pipelines.reduce: one tree, whatever the number of processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.reduce import TreeSum, leaves_of


def tree(leaves: list[torch.Tensor]) -> torch.Tensor:
    """The law, written down: left half plus right half."""
    if len(leaves) == 1:
        return leaves[0]
    middle = len(leaves) // 2
    return tree(leaves[:middle]) + tree(leaves[middle:])


def leaves(count: int) -> list[torch.Tensor]:
    """Numbers of very different sizes, so that another order of additions gives other bits."""
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(1000, generator=generator) * 10.0 ** (i % 7) for i in range(count)]


def summed(terms: list[torch.Tensor]) -> torch.Tensor:
    total = TreeSum()
    for term in terms:
        total.add(term.clone())
    return total.total()


@pytest.mark.parametrize("count", [1, 2, 4, 8, 64])
def test_the_binary_counter_adds_as_the_tree_does(count: int) -> None:
    assert torch.equal(summed(leaves(count)), tree(leaves(count)))


@pytest.mark.parametrize("world", [1, 2, 4, 8, 16])
def test_any_number_of_processes_gives_the_same_bits(world: int) -> None:
    terms = leaves(16)
    subtotals = [summed([terms[leaf] for leaf in leaves_of(rank, world, 16)]) for rank in range(world)]
    assert torch.equal(tree(subtotals), tree(terms))


WORKER = """
import sys
import torch
import torch.distributed as dist
from pipelines import reduce

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
reduce.PIECE, reduce.UNDER_WAY = 7, 3
for size in (1, 7, 20, 21, 22, 1000):
    total = reduce.across(torch.load(f"{folder}/{rank}.pt")[:size].clone(), rank, world)
    torch.save(total, f"{folder}/{rank}-{size}.pt")
dist.barrier()
dist.destroy_process_group()
"""


def test_pieces_are_exchanged_and_added_in_their_places(tmp_path: Path) -> None:
    """Real processes, and sums that end within a piece, with one, and after more than are under way at once."""
    world, terms = 4, leaves(4)
    for rank, term in enumerate(terms):
        torch.save(term, tmp_path / f"{rank}.pt")
    command = [sys.executable, "-c", WORKER]
    loopback = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen([*command, str(rank), str(world), str(tmp_path)], env=loopback) for rank in range(world)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * world
    for size in (1, 7, 20, 21, 22, 1000):
        for rank in range(world):
            assert torch.equal(torch.load(tmp_path / f"{rank}-{size}.pt"), tree(terms)[:size])


def test_adding_one_after_the_other_gives_other_bits() -> None:
    terms = leaves(16)
    running = terms[0].clone()
    for term in terms[1:]:
        running += term
    assert not torch.equal(running, tree(terms))


@given(st.integers(0, 6), st.integers(0, 6))
def test_leaves_are_dealt_out_whole_and_in_order(world: int, more: int) -> None:
    processes, count = 1 << world, 1 << (world + more)
    assert [leaf for rank in range(processes) for leaf in leaves_of(rank, processes, count)] == list(range(count))


@pytest.mark.parametrize(("rank", "world", "count"), [(0, 3, 8), (0, 2, 6), (0, 8, 4), (2, 2, 4), (-1, 2, 4)])
def test_what_is_no_whole_subtree_is_refused(rank: int, world: int, count: int) -> None:
    with pytest.raises(ValueError, match="powers of two"):
        leaves_of(rank, world, count)


@pytest.mark.parametrize("count", [0, 3, 6])
def test_an_incomplete_tree_has_no_total(count: int) -> None:
    total = TreeSum()
    for _ in range(count):
        total.add(torch.ones(1))
    with pytest.raises(ValueError, match="power of two"):
        total.total()
