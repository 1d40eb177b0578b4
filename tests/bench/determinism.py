"""One digest of final weights, whatever the machine: a small model trained in every way that must not matter.

A table for each profile: what was varied, the digest of the last checkpoint's tensors, and whether it is the first
row's. All of `portable` have to be alike; under `native` the emulated CPUs must not be, or the table could not fail.
Other CPUs are emulated by qemu-user, whose TCG has AVX2 and FMA but no AVX-512. Then every operation on fixed numbers,
known and refused, on each of those CPUs. Ends with exit code 1 where the portable profile breaks its promise.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.determinism import FOREIGN
from registry.records.checkpoint_chain import Chain
from tests.bench._paired import processor
from tests.pipelines import small_project

ROOT = Path(__file__).resolve().parents[2]
CPUS = ("Haswell", "EPYC-Milan", "Skylake-Server")
QEMU = "qemu-x86_64-static"
NO_QEMU = f"not run: {QEMU} is not installed (Debian: apt-get install qemu-user-static)"
STEPS = 6
TRAIN = {
    **small_project.TRAIN, "steps": STEPS, "micro_batches": 8, "validation_micro_batches": 8, "checkpoint_every": 2,
}  # fmt: skip
MODEL = {
    "architecture": "llama", "context": 48,
    "config": {**small_project.LLAMA, "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4},
}  # fmt: skip
WORKER: Mapping[str, str] = {"RANK": "0", "WORLD_SIZE": "1"}
FEATURES = "from numpy._core._multiarray_umath import __cpu_features__ as f; print(*[n for n in {!r} if f.get(n)])"
SHOWN = ("AVX2", "FMA3", "X86_V3", "AVX512F", "AVX512_SKX", "X86_V4", "AVX512_ICL")


@dataclass(frozen=True)
class Row:
    """A way to train: the command's Python, its arguments, variables, and for how many kills to stop it."""

    label: str
    arguments: tuple[str, ...] = ("-m", "pipelines.train")
    variables: Mapping[str, str] | None = None
    python: tuple[str, ...] = (sys.executable,)
    kills: int = 0
    shard_tokens: int = 1 << 20
    why_not: str = ""


def rows(emulated: Mapping[str, str]) -> Iterator[Row]:
    """All ways, the plain one first. emulated: the features of each emulated CPU."""
    torchrun = ("-m", "torch.distributed.run", "--standalone")
    varied = ("-m", "tests.bench._variations")
    yield Row("1 process", variables={"GLASSHOUSE_PROCESSES": "1"})
    for count in (2, 4, 8):
        yield Row(f"{count} processes", variables={"GLASSHOUSE_PROCESSES": str(count)})
    for count in (1, 2, 4, 8):
        spread = (*torchrun, f"--nproc-per-node={count}", "-m", "pipelines.train")
        yield Row(f"torchrun, {count} processes", spread, {"OMP_NUM_THREADS": "1"})
    for count in (2, 4):
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        yield Row(f"{count} threads asked for by the environment", variables=dict.fromkeys(names, str(count)))
        yield Row(f"{count} threads forced on torch's kernels", (*varied, f"threads={count}"), WORKER)
    yield Row("killed -9 at three random moments, resumed", variables={"GLASSHOUSE_PROCESSES": "2"}, kills=3)
    yield Row("rows of a micro-batch read by one index", (*varied, "one-gather"), WORKER)
    yield Row("tokens in shards of 1,024", shard_tokens=1024)
    for seed in ("0", "12345"):
        yield Row(f"PYTHONHASHSEED={seed}", variables={"PYTHONHASHSEED": seed})
    if other := other_python():
        path = {"PYTHONPATH": os.pathsep.join((str(ROOT), *site_packages()))}
        yield Row(f"Python {other[1]}, not {sys.version.split()[0]}", ("-m", "pipelines.train"), path, (other[0],))
    else:
        yield Row("another Python patch version", why_not="not run: none on PATH (Debian: apt-get install python3.11)")
    for cpu in CPUS:
        yield Row(
            f"-cpu {cpu}: {emulated.get(cpu, '')}", variables=WORKER, python=(QEMU, "-cpu", cpu, sys.executable),
            why_not="" if emulated else NO_QEMU,
        )  # fmt: skip


def site_packages() -> list[str]:
    """Where this environment keeps packages."""
    return [path for path in sys.path if path.endswith("site-packages")]


def other_python() -> tuple[str, str] | None:
    """Another Python of this minor version, and its version."""
    name = f"python3.{sys.version_info.minor}"
    for folder in os.environ["PATH"].split(os.pathsep):
        path = Path(folder) / name
        if not path.is_file():
            continue
        code = "import platform; print(platform.python_version())"
        done = subprocess.run([str(path), "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() != sys.version.split()[0]:
            return str(path), done.stdout.strip()
    return None


def main() -> None:
    """Print all tables."""
    print(f"here: {processor()}; {said([sys.executable, '-c', FEATURES.format(SHOWN)])}")
    emulated = {}
    if shutil.which(QEMU):
        for cpu in CPUS:
            emulated[cpu] = said([QEMU, "-cpu", cpu, sys.executable, "-c", FEATURES.format(SHOWN)])
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        scratch = Path(folder)
        broken = table("portable", scratch, emulated)
        moved = table("native", scratch, emulated)
    broken += operations(emulated)
    print("\nportable: " + ("one digest" if not broken else f"BROKEN by {broken}"))
    print("native differs by: " + (", ".join(moved) or "nothing here, so this table could not have failed"))
    if broken:
        raise SystemExit(1)


def table(profile: str, scratch: Path, emulated: Mapping[str, str]) -> list[str]:
    """Train in every way under `profile` and print it; the labels of those that gave another digest."""
    print(f"\n{profile}: {STEPS} steps of {TRAIN['micro_batches']} micro-batches; digest of the last weights")
    first, differ = "", []
    for number, row in enumerate(rows(emulated)):
        if row.why_not:
            print(f"  {row.label:62} {row.why_not}", flush=True)
            continue
        started = time.perf_counter()
        digest = trained(row, profile, scratch / f"{profile}-{number}")
        first = first or digest
        if digest != first:
            differ.append(row.label)
        took = f"{time.perf_counter() - started:5.1f} s"
        print(f"  {row.label:62} {digest[:16]}  {'same' if digest == first else 'DIFFERS'}  {took}", flush=True)
    return differ


def prepared(scratch: Path, shard_tokens: int) -> Path:
    """A project with tokens to train on, made once."""
    root = scratch / f"tokens-{shard_tokens}"
    if not root.is_dir():
        small_project.write_project(root, documents=80, model=MODEL, encode={"shard_tokens": shard_tokens})
        shutil.copyfile(ROOT / "requirements.lock", root / "requirements.lock")
        for module in ("corpus", "tokenizer", "encode"):
            said([sys.executable, "-m", f"pipelines.{module}"], root, environment())
    return root


def environment() -> dict[str, str]:
    """The variables of this process, but for those that numerical libraries read."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return {**clean, "PYTHONPATH": str(ROOT), "GLASSHOUSE_TRACKING": "off", "GLOO_SOCKET_IFNAME": "lo"}


def trained(row: Row, profile: str, root: Path) -> str:
    """Train as the row says, in a new project at `root`; the digest of the last checkpoint's tensors."""
    shutil.copytree(prepared(root.parent, row.shard_tokens), root)
    params = json.loads((root / "params.yaml").read_bytes())
    (root / "params.yaml").write_text(json.dumps({**params, "train": {**TRAIN, "profile": profile}}), encoding="utf-8")
    command = [*row.python, *row.arguments]
    variables = {**environment(), **(row.variables or {})}
    for _ in range(row.kills):
        killed(command, root, variables)
    said(command, root, variables)
    chain = Chain.read(root / "build/train/checkpoints.json")
    chain.verify()
    assert chain.entries[-1].step == STEPS
    return chain.entries[-1].weights.tensors


def killed(command: list[str], root: Path, variables: Mapping[str, str]) -> None:
    """Start the command, and kill it and its children once it has done a step more, after a random while."""
    metrics = root / "build/train/metrics.jsonl"
    before = lines(metrics)
    process = subprocess.Popen(command, cwd=root, env=dict(variables), stderr=subprocess.DEVNULL, process_group=0)
    while process.poll() is None and lines(metrics) <= before:
        time.sleep(0.01)
    time.sleep(random.random() * 0.3)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(path: Path) -> int:
    """How many lines a file has; 0 where it is missing."""
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def operations(emulated: Mapping[str, str]) -> list[str]:
    """Every operation on fixed numbers on every CPU; prints which differ, and gives the known ones that do."""
    here, broken = measured(sys.executable), []
    kinds = {name.split("::")[0] for name in here}
    counts = {kind: sum(name.startswith(f"{kind}::") for name in here) for kind in sorted(kinds)}
    print(f"\noperations on fixed numbers under portable's variables: {counts}")
    for cpu in CPUS:
        if not emulated:
            print(f"  -cpu {cpu:16} {NO_QEMU}")
            continue
        found = measured(QEMU, "-cpu", cpu, sys.executable)
        differ = sorted(name for name in here.keys() | found.keys() if here.get(name) != found.get(name))
        broken += [f"{name} on {cpu}" for name in differ if not name.startswith("refused::")]
        print(f"  -cpu {cpu:16} differ: {', '.join(differ) or 'none'}", flush=True)
    return broken


def measured(*python: str) -> dict[str, str]:
    """Digests of all operations, known and refused, as that Python gives them."""
    command = [*python, "-m", "tests.pipelines.operations", "--refused"]
    return dict(json.loads(said(command, ROOT, environment())))


def said(command: list[str], root: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """What a command prints. Ends the benchmark where it fails."""
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
