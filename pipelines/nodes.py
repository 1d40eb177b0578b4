"""A training on several machines: `python -m pipelines.train` on each of them, where params.yaml has `train.launch`.

On each one, the supervisor starts this module, and it runs torchrun: the nodes meet at GLASSHOUSE_MEETING, an address
of one of them, and every process finds the others from there. Where a process or a whole node is lost, torchrun starts
all that are left anew, and they go on from the last whole checkpoint. Without GLASSHOUSE_MEETING this node trains
alone.

    build/train                     one folder that all nodes share: process 0, which may move, writes it, and all read
    build/tokens, build/tokenizer   the same folder, or a copy of the same bytes
    the node at GLASSHOUSE_MEETING  keeps the store, and records the run in MLflow; when it is lost, run it again

Law: the nodes, and how many are left, change no byte of what is written.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import determinism, params, stage, supervise
from pipelines.determinism import Profile
from pipelines.params import Params, Torchrun
from registry.errors import InputError, Refused, Unavailable
from registry.files import write_atomic
from registry.variables import GLOO_SOCKET_IFNAME, MEETING, NCCL_SOCKET_IFNAME, PET_RDZV_CONF, REFUSAL

LOOPBACK = "127.0.0.1"
TRAINING = "training"
"""What torchrun calls what the nodes meet for."""
ADDRESS_OF_INTERFACE = 0x8915
"""What Linux calls the question for an interface's IPv4 address (SIOCGIFADDR)."""


def meeting() -> tuple[str, int] | None:
    """Where the nodes meet: host and port. Raises InputError for anything else in GLASSHOUSE_MEETING."""
    if (said := os.environ.get(MEETING)) is None:
        return None
    host, _, port = said.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise InputError(f"{MEETING} is {said[:100]!r}, not HOST:PORT", mend=f"set {MEETING} as in 10.0.0.1:29400")
    return host, int(port)


def keeps_record() -> bool:
    """Whether this node records the run: the one at which the others meet, or one that trains alone."""
    place = meeting()
    return place is None or own_address(*place) in _addresses(*place)


def run(module: str, meanwhile: Callable[[], None]) -> None:
    """Run `python -m module` on this node, with the other nodes, until all end well; as `supervise.run`."""
    command = [sys.executable, "-m", "pipelines.nodes", module]
    variables = {**supervise.KEEP_MEMORY, **os.environ}
    supervise.follow([subprocess.Popen(command, env=variables, stdin=subprocess.PIPE)], meanwhile)


def arguments(launch: Torchrun, processes: int) -> list[str]:
    """What torchrun is told. processes: on this node.

    All that come to one meeting are of one training. One that has another recipe is refused there: else it would train
    beside the others, in the folder that they share.
    """
    place = meeting()
    nodes, endpoint, address, conf = "1:1", f"{LOOPBACK}:0", LOOPBACK, []
    if place is not None:
        nodes = f"{launch.least_nodes}:{launch.most_nodes}"
        endpoint, address = f"{place[0]}:{place[1]}", own_address(*place)
        # Said, because torchrun would ask whether the machine's name stands for that address.
        conf = [said for said in (os.environ.get(PET_RDZV_CONF), f"is_host={int(keeps_record())}") if said]
    return [
        f"--nnodes={nodes}", f"--nproc-per-node={processes}", f"--max-restarts={launch.restarts}",
        "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", f"--rdzv-id={TRAINING}", f"--local-addr={address}",
        *([f"--rdzv-conf={','.join(conf)}"] if conf else []),
    ]  # fmt: skip


def own_address(host: str, port: int) -> str:
    """This node's address on the way to `host`. Raises Unavailable where there is no way."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent
            probe.connect((host, port))
            return str(probe.getsockname()[0])
    except OSError as problem:
        raise Unavailable(
            f"this node has no way to {host}:{port}: {problem}", mend=f"set {MEETING} to an address that it reaches"
        ) from problem


def interface(address: str) -> str | None:
    """The network interface that has the IPv4 address `address`; None where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(probe.fileno(), ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None


def _addresses(host: str, port: int) -> set[str]:
    return {str(found[4][0]) for found in socket.getaddrinfo(host, port, socket.AF_INET)}


@contextmanager
def refusal_kept() -> Iterator[None]:
    """In a worker: leave the exit code of a Refused to its node, until a worker of it is not refused any more.

    torchrun starts a refused worker anew, on each node as often as `train.launch.restarts` says. It counts on each node
    for itself, so one node gives up first, and the others are told that the meeting is over, and not why.
    """
    place = Path(said) if (said := os.environ.get(REFUSAL)) else None
    try:
        yield
    except Refused as problem:
        if place is not None:
            write_atomic(place, str(problem.exit_code).encode())
        raise
    if place is not None:
        place.unlink(missing_ok=True)


def main() -> None:
    """Be torchrun for the module that the first word names."""
    supervise.end_when_input_closes()
    module, settings = sys.argv[1], params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    _torchrun(settings, profile, module)


def _torchrun(settings: Params, profile: Profile, module: str) -> None:
    import torch
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import parse_args, run

    launch = settings.train.launch
    assert launch is not None
    leaves = settings.train.micro_batches
    found = torch.cuda.device_count() if profile.device == "cuda" else supervise.processes(leaves)
    told = arguments(launch, launch.processes or max(found, 1))
    place = meeting()
    if face := interface(own_address(*place) if place else LOOPBACK):
        os.environ.setdefault(GLOO_SOCKET_IFNAME, face)
        os.environ.setdefault(NCCL_SOCKET_IFNAME, face)
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
        refusal = Path(folder) / "refusal"
        os.environ[REFUSAL] = str(refusal)
        try:
            run(parse_args([*told, "-m", module]))  # type: ignore[no-untyped-call]
        except (RendezvousError, DistError, ChildFailedError) as problem:
            if refusal.is_file():  # one of its workers has said why, whatever torchrun saw last
                supervise.report(int(refusal.read_bytes()))
            if isinstance(problem, ChildFailedError):
                supervise.report(problem.get_first_failure()[1].exitcode)
            raise Unavailable(
                f"the nodes did not meet, or lost the one at {os.environ.get(MEETING)}: {problem}",
                mend="start it on every node again: it goes on from the last checkpoint",
            ) from problem


if __name__ == "__main__":
    stage.run(main)
