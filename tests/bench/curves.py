"""How time grows: each curve with four sizes, a factor of 4 apart, and the exponent of its growth.

A slope of 1 is linear: four times as much takes four times as long. It is fitted to the logarithms of all four sizes;
beside it stands the slope of the last step alone, which what every run costs flattens least. Time is that of all cores
together, of this process and those that it starts: a busy machine changes it little. What grows faster than linearly
is named in docs/explanation/scale.md, with the reason.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from tests.bench import manifest
from tests.bench._paired import BIN

STEEP = 1.1
"""A last slope beyond this is said to be above linear: what lies below is noise."""
LEAVES, NUMBERS = 64, 1 << 19
"""Micro-batches of a step, and the numbers in each gradient."""

Curve = Callable[[int], float]


def main() -> None:
    """Print a line for each curve."""
    started = time.perf_counter()
    print(f"on {os.cpu_count()} cores; seconds of CPU, or of the clock where that is said")
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder = Path(name)
        _manifest(folder)
        _draw("files of a release: verify", (100, 400, 1600, 6400), lambda size: _release(folder, size))
        _draw("checkpoints of a chain: read, held", (200, 800, 3200, 12800), lambda size: _chain(folder, size))
        _hub(folder)
        _draw("processes of a step: all of them", (1, 4, 16, 64), lambda size: _reduction(folder, size))
    print(f"in all {time.perf_counter() - started:.0f} s")


def _draw(what: str, sizes: Sequence[int], curve: Curve) -> None:
    """Print what each of `sizes` takes, and how that grows."""
    took = [curve(size) for size in sizes]
    points = [(math.log(size), math.log(max(seconds, 1e-6))) for size, seconds in zip(sizes, took, strict=True)]
    told = "   ".join(f"{size:>6}: {seconds:8.4f}" for size, seconds in zip(sizes, took, strict=True))
    last = _slope(points[-2:])
    steep = "   above linear" if last > STEEP else ""
    print(f"{what:<36} {told}   slope {_slope(points):5.2f}, at last {last:5.2f}{steep}", flush=True)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares of what it misses `points` by."""
    x, y = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    return sum((one - x) * (other - y) for one, other in points) / sum((one - x) ** 2 for one, _ in points)


def _cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that it takes, with those of the processes that it starts and waits for."""
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    """Seconds of CPU up to now; `os.times` would round them to hundredths."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _manifest(folder: Path) -> None:
    sizes = (1_500, 6_000, 24_000, 96_000)
    for size in (0, *sizes):
        (folder / f"rows-{size}").mkdir()
    manifest.write(folder / "rows-0", 100)  # what has to be loaded, is
    _draw("rows of a manifest: write", sizes, lambda size: _cpu(lambda: manifest.write(folder / f"rows-{size}", size)))
    _draw("rows of a manifest: verify", sizes, lambda n: _cpu(lambda: manifest.verify(folder / f"rows-{n}", n)))
    _draw("rows of a manifest: prove one", sizes, lambda n: _cpu(lambda: manifest.prove(folder / f"rows-{n}", n)))


def _release(folder: Path, size: int) -> float:
    from registry import api
    from tests.bench.verify import signed

    root, key = signed(folder / f"files-{size}", large=1 << 20, small=size)
    policy = api.Policy.of({"signers": [{"kind": "key", "pem": key.read_text()}]}, name="the bench")

    def verify() -> None:
        report = api.verify(root, policy)
        found = [check.verdict for check in report.checks if check.step in (2, 3)]
        assert found and all(verdict is api.Verdict.PASS for verdict in found), report

    return min(_cpu(verify) for _ in range(2))


def _chain(folder: Path, size: int) -> float:
    """A chain of `size` checkpoints, as an audit reads it and looks at its links."""
    from registry.canonical import digest
    from registry.records.checkpoint_chain import FIRST, Chain, Checkpoint, FileDigests, Positions, ProfileName

    def file(step: int, what: str) -> FileDigests:
        return FileDigests(file=digest([what, step, "file"]), tensors=digest([what, step]))

    entries: list[Checkpoint] = []
    for step in range(size):
        positions = Positions(start=8 * max(step - 1, 0), end=8 * step)
        entries.append(
            Checkpoint(
                step=step,
                weights=file(step, "weights"),
                optimizer=file(step, "optimizer"),
                positions=positions,
                loss=2.5 if step else None,
                previous=entries[-1].digest if entries else FIRST,
            )
        )
    profile = ProfileName(name="portable", digest=FIRST)
    chain = Chain(
        schema_="glasshouse.checkpoints/v1", tokens=FIRST, recipe=FIRST, profile=profile, entries=tuple(entries)
    )
    path = folder / f"chain-{size}.json"
    path.write_bytes(chain.to_bytes())
    return min(_cpu(lambda: Chain.read(path).verify()) for _ in range(2))


def _hub(folder: Path) -> None:
    """Lists, of the clock: the shortest of some. `serve --check` reads a Hub that it has not read before."""
    from tests.bench.hub_lists import fill
    from tests.hub_instance import HubInstance
    from tests.registry.server.asking import ask

    def filled(size: int) -> Path:
        root = folder / f"hub-{size}"
        if not root.exists():
            fill(root / "repos", size)
        return root

    @contextmanager
    def served(size: int) -> Iterator[Callable[[str], float]]:
        with HubInstance.start(filled(size), options=("--rate", "10000")) as hub:
            yield lambda query: _clock(lambda: ask(hub, "GET", f"/api/models?{query}"))

    def first(size: int) -> float:
        with served(size) as asked:
            return asked("limit=20")

    def later(query: str, size: int) -> float:
        with served(size) as asked:
            return min(asked(query) for _ in range(20))

    sizes = (5, 20, 80, 320)
    check = [str(BIN / "glasshouse"), "serve", "--check", "--all", "--root"]
    _draw("repositories of a Hub: first list", sizes, first)
    _draw("repositories of a Hub: list of 20", sizes, lambda size: later("limit=20", size))
    _draw("repositories of a Hub: search", sizes, lambda size: later("search=model-7&limit=20", size))
    _draw(
        "repositories of a Hub: --check",
        sizes,
        lambda size: _cpu(lambda: subprocess.run([*check, str(filled(size))], check=True, capture_output=True)),
    )


def _clock(work: Callable[[], tuple[int, object, object]]) -> float:
    before = time.perf_counter()
    assert work()[0] == 200
    return time.perf_counter() - before


def _reduction(folder: Path, world: int) -> float:
    """One step's sum of LEAVES gradients by `world` processes: the CPU of all of them, once they have met."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:  # torch that has threads cannot fork
        return alone.submit(_met, str(folder / f"meet-{world}"), world).result()


def _met(meeting: str, world: int) -> float:
    import torch

    torch.set_num_threads(1)
    fork = multiprocessing.get_context("fork")
    took = fork.SimpleQueue()
    workers = [fork.Process(target=_worker, args=(meeting, rank, world, took)) for rank in range(world)]
    for worker in workers:
        worker.start()
    total = math.fsum(took.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def _worker(meeting: str, rank: int, world: int, took: SimpleQueue[float]) -> None:
    import torch
    import torch.distributed as dist

    from pipelines import reduce

    store = dist.FileStore(meeting, world)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    gradients = [torch.full((NUMBERS,), float(leaf)) for leaf in reduce.leaves_of(rank, world, LEAVES)]
    dist.barrier()
    before = time.process_time()
    tree = reduce.TreeSum()
    for gradient in gradients:
        tree.add(gradient)
    total = reduce.across(tree.total(), rank, world)
    took.put(time.process_time() - before)
    assert total[0] == sum(range(LEAVES))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
