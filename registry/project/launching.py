"""How a training starts on several machines: a recipe for who manages them, from what the project says.

    params.yaml      train.launch: how many nodes and processes; train.profile: whether they need GPUs
    dvc.yaml         what the stage runs
    requirements.lock    the packages, installed anew on each node, by their digests

On every recipe's nodes the same script runs, in one folder that all of them share: the project's working copy, with
what the stage reads. The first node runs `dvc repro`, which records the stage; the others run its command. They meet at
the first. docs/how-to/launch.md has a recipe of each kind.

Law: nothing of a project is read by a shell or a YAML parser as anything but one word or one text. Names are plain.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from registry import strict_yaml, variables
from registry.digest import sha256_file
from registry.errors import InputError
from registry.files import readable
from registry.project import dvc_yaml
from registry.records.addresses import check_names
from registry.records.project import LOCK, PARAMS

Form = Literal["slurm", "skypilot", "kubernetes"]
PORT = 29400
"""Where the first node listens: torchrun's own choice."""
LABEL = re.compile(r"[a-z](?:[-a-z0-9]{0,50}[a-z0-9])?")
"""A name that is one in Slurm, SkyPilot and Kubernetes alike: RFC 1123, and short enough to be part of a host's."""
IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]{0,400}@sha256:[0-9a-f]{64}")
"""An image by its digest, which alone says what is in it."""
MAX_NODES, MAX_PROCESSES = 1 << 12, 1 << 10
SHARED = "/project"
"""Where the shared folder is mounted."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A training that is to start. Raises InputError for a name that is not plain, or numbers out of their bounds."""

    name: str
    """What it is called where it runs."""
    stage: str
    """The stage of dvc.yaml."""
    command: str
    """What the stage runs, without what records it."""
    least: int
    """With fewer nodes it waits."""
    most: int
    """With so many it begins."""
    processes: int | None
    """On each node; None: one a core, or one a GPU."""
    gpus: bool
    """Whether each process has a GPU."""
    lock: str
    """SHA-256 of the lock of packages."""
    installed: bool
    """Whether the project is a package itself, to be installed beside those."""

    def __post_init__(self) -> None:
        _named("the name", self.name)
        check_names([self.stage])
        if not 1 <= self.least <= self.most <= MAX_NODES:
            raise InputError(
                f"{self.least} to {self.most} nodes are not a range within 1 to {MAX_NODES}",
                mend="give train.launch.least_nodes and most_nodes in params.yaml",
            )
        if self.processes is not None and not 1 <= self.processes <= MAX_PROCESSES:
            raise InputError(
                f"{self.processes} processes are not within 1 to {MAX_PROCESSES}",
                mend="give train.launch.processes in params.yaml, or leave it out",
            )


def read(root: Path, *, stage: str, name: str) -> Launch:
    """What the project at `root` says of its training. name: what it is to be called.

    Raises InputError where params.yaml has no `train.launch`, the stage runs several commands, or there is no lock.
    """
    train = _section(strict_yaml.read(root / PARAMS), "train")
    launch = _section(train, "launch")
    declared = dvc_yaml.resolved(root, [stage]).stage(stage)
    with readable(root / LOCK, mend="uv pip compile --generate-hashes --output-file requirements.lock pyproject.toml"):
        lock = sha256_file(root / LOCK)
    return Launch(
        name=name,
        stage=stage,
        command=_without_record(stage, declared.commands),
        least=_number(launch, "least_nodes", 1),
        most=_number(launch, "most_nodes", 1),
        processes=_number(launch, "processes", 0) or None,
        gpus=train.get("profile") == "cuda",
        lock=lock,
        installed=(root / "pyproject.toml").is_file(),
    )


def recipe(form: Form, launch: Launch, *, image: str | None = None, volume: str | None = None) -> str:
    """The recipe, as text that ends in a line's end.

    image: of a container, by digest; Kubernetes needs one.  volume: what holds the shared folder: a volume of
    SkyPilot's, or a claim of Kubernetes; Slurm starts in it. Raises InputError where one is missing or not plain.
    """
    if image is not None and not IMAGE.fullmatch(image):
        raise InputError(
            f"{image[:200]!r} does not name an image by its digest",
            mend="give it as NAME@sha256:DIGEST: docker buildx imagetools inspect NAME",
        )
    if form == "slurm":
        if image is not None or volume is not None:
            raise InputError("Slurm starts in the shared folder, without a container", mend="leave out the option")
        return _slurm(launch)
    if volume is None:
        raise InputError("the nodes need a folder that they share", mend="name what holds it: --volume NAME")
    _named("the volume", volume)
    if form == "skypilot":
        return _skypilot(launch, image, volume)
    if image is None:
        raise InputError("Kubernetes needs an image", mend="give one by its digest: --image NAME@sha256:DIGEST")
    return _kubernetes(launch, image, volume)


def node_script(launch: Launch, rank: str) -> str:
    """What bash runs on each node, in the shared folder, with the meeting in its environment.

    rank: the variable that has the node's number, from 0.
    """
    folder = f'"${{XDG_CACHE_HOME:-$HOME/.cache}}/glasshouse/launch-{launch.lock[:16]}-$HOSTNAME"'
    own = '  "$packages/bin/pip" install --no-deps --no-build-isolation --editable .\n' if launch.installed else ""
    return f"""set -euo pipefail
# 1. the packages of the lock, once on each node
packages={folder}
if [ ! -e "$packages/.ready" ]; then
  python3 -m venv "$packages"
  "$packages/bin/pip" install --require-hashes --no-deps --requirement {LOCK}
{own}  touch "$packages/.ready"
fi
export PATH="$packages/bin:$PATH"
# 2. the first node records the stage, the others work with it
if [ "${{{rank}}}" = 0 ]; then
  exec dvc repro {shlex.quote(launch.stage)}
else
  exec bash -c {shlex.quote(launch.command)}
fi
"""


def _slurm(launch: Launch) -> str:
    nodes = str(launch.most) if launch.least == launch.most else f"{launch.least}-{launch.most}"
    wanted = [f"--job-name={launch.name}", f"--nodes={nodes}", "--ntasks-per-node=1", "--no-kill", "--exclusive"]
    if launch.processes and launch.gpus:
        wanted.append(f"--gpus-per-node={launch.processes}")
    elif launch.processes:
        wanted.append(f"--cpus-per-task={launch.processes}")
    options = "\n".join(f"#SBATCH {option}" for option in wanted)
    return f"""#!/bin/bash
# sbatch this in the project's folder, which all nodes share.
{options}
set -euo pipefail
names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=$(srun --nodes=1 --ntasks=1 --nodelist="${{names%%$'\\n'*}}" hostname --all-ip-addresses)
export {variables.MEETING}="${{addresses%% *}}:{PORT}"
srun --kill-on-bad-exit=0 bash -c {shlex.quote(node_script(launch, "SLURM_NODEID"))}
"""


def _skypilot(launch: Launch, image: str | None, volume: str) -> str:
    resources: dict[str, Any] = {"cpus": f"{launch.processes}+"} if launch.processes and not launch.gpus else {}
    if image is not None:
        resources["image_id"] = f"docker:{image}"
    meeting = f"cd {SHARED}\nexport {variables.MEETING}=\"${{SKYPILOT_NODE_IPS%%$'\\n'*}}:{PORT}\"\n"
    task = {
        "name": launch.name,
        "num_nodes": launch.most,
        **({"resources": resources} if resources else {}),
        "volumes": {SHARED: volume},
        "run": meeting + node_script(launch, "SKYPILOT_NODE_RANK"),
    }
    gpus = f"# Add --gpus KIND:{launch.processes or 'COUNT'}: which kind is yours to say.\n" if launch.gpus else ""
    return f"# sky launch FILE. The volume holds the project's folder.\n{gpus}{_yaml(task)}"


def _kubernetes(launch: Launch, image: str, volume: str) -> str:
    size = {"nvidia.com/gpu" if launch.gpus else "cpu": str(launch.processes)} if launch.processes else {}
    script = node_script(launch, "JOB_COMPLETION_INDEX")
    container = {
        "name": "node",
        "image": image,
        "workingDir": SHARED,
        "command": ["bash", "-c", script],
        "env": [
            {"name": variables.MEETING, "value": f"{launch.name}-0.{launch.name}:{PORT}"},
            {"name": "HOME", "value": "/tmp"},  # the container's own: nobody else writes there
        ],
        "resources": {"requests": size, "limits": size} if size else {},
        "volumeMounts": [{"name": "project", "mountPath": SHARED}],
    }
    pod = {
        "subdomain": launch.name,
        "restartPolicy": "OnFailure",
        "containers": [container],
        "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": volume}}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": launch.name},
        "spec": {
            "completions": launch.most,
            "parallelism": launch.most,
            "completionMode": "Indexed",
            "template": {"metadata": {"labels": {"app": launch.name}}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": launch.name},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": launch.name},
                 "ports": [{"name": "meeting", "port": PORT}]},
    }  # fmt: skip
    head = "# kubectl apply --filename FILE. The claim, ReadWriteMany, holds the project's folder.\n"
    return f"{head}{_yaml(service)}---\n{_yaml(job)}"


OTHER_LINE_ENDS = "\r\x85\u2028\u2029"
"""Where YAML 1.1, too, ends a line: in a block a reader makes plain line ends of them."""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and everything where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is named, to be referred to."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if any(end in text for end in OTHER_LINE_ENDS) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def _section(found: Any, key: str) -> dict[str, Any]:
    section = found.get(key) if isinstance(found, dict) else None
    if not isinstance(section, dict):
        raise InputError(
            f"{PARAMS} has no section {key} that says how the training starts",
            mend="write train.launch into it, as docs/how-to/launch.md shows",
        )
    return section


def _number(section: dict[str, Any], key: str, default: int) -> int:
    value = section.get(key)
    if value is None:
        return default
    if type(value) is not int or value < 1:
        raise InputError(
            f"train.launch.{key} is {str(value)[:100]!r}, not a number of at least 1", mend="mend params.yaml"
        )
    return value


def _without_record(stage: str, commands: tuple[str, ...]) -> str:
    """The command of a stage, as the nodes run it that do not record it."""
    command = commands[0]
    before, divided, after = command.partition(" -- ")
    if divided and "record" in before.split():
        command = after
    if len(commands) > 1 or "\0" in command:
        raise InputError(
            f"the stage {stage} runs {len(commands)} commands, and which of them the nodes share is not told",
            mend="let it run one: glasshouse record -- COMMAND",
        )
    return command


def _named(what: str, name: str) -> None:
    if not LABEL.fullmatch(name):
        raise InputError(
            f"{what} {name[:100]!r} is not plain",
            mend="use up to 52 lower-case letters, digits and dashes; begin with a letter, and end without a dash",
        )
