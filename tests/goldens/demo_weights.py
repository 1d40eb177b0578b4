"""The digest of the weights that `make demo` trains, and where it was reached: every demo is a rebuild of them.

    goldens/demo_weights.json   weights    SHA-256 of build/model/model.safetensors
                        settings   digest of the sections of params.yaml that decide them
                        builds     of numpy and torch, as environment.json has them: for these the digest is promised
                        reached    kinds of machine whose demo gave that digest

Where the weights change on purpose, run `make demo`, and write here what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical, strict_yaml
from registry.digest import sha256_file
from registry.records.environment import Environment

FILE = Path(__file__).with_name("demo_weights.json")
WEIGHTS = Path("build/model/model.safetensors")
ENVIRONMENT = Path("build/train/environment.json")
SETTINGS = ("seed", "corpus", "tokenizer", "encode", "model", "train")
"""The sections of params.yaml that decide the weights."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What comes of a comparison.

    words: for a person.  broken: whether a promise is: other weights, where the numeric profile promises the same.
    """

    words: str
    broken: bool = False


def compare(project: Path) -> Compared:
    """Hold the weights that the demo in `project` built to the golden."""
    golden = canonical.read(FILE)
    weights, environment = sha256_file(project / WEIGHTS), Environment.read(project / ENVIRONMENT)
    if settings(project / "params.yaml") != golden["settings"]:
        return Compared(f"Weights {weights[:16]}: not compared, for params.yaml is not the demo's own")
    if weights == golden["weights"]:
        kinds = len(golden["reached"])
        news = (
            ""
            if any(_is_of(kind, environment) for kind in golden["reached"])
            else f"; yours is new. {_report(project)}"
        )
        return Compared(f"Weights {weights[:16]}: the same that {kinds} kinds of machine reached{news}")
    found = f"Weights {weights}, where other machines reached {golden['weights']}"
    if environment.profile.name != "portable":
        return Compared(f"{found}: the numeric profile {environment.profile.name} does not promise them")
    if environment.software.builds != golden["builds"]:
        return Compared(f"{found}, with other builds of numpy or torch. {_report(project)}")
    return Compared(
        f"{found}. If neither code nor settings changed, a promise is broken. {_report(project)}", broken=True
    )


def settings(params: Path) -> str:
    """The digest of what decides the weights in the params.yaml at `params`."""
    sections = strict_yaml.read(params)
    return canonical.digest({name: sections[name] for name in SETTINGS})


def _is_of(kind: Mapping[str, Any], environment: Environment) -> bool:
    """Whether a machine is of a kind that stands in the golden."""
    machine, software = environment.machine, environment.software
    return (kind["cpu"], kind["features"], kind["torch"]) == (machine.cpu, [*machine.features], software.torch)


def _report(project: Path) -> str:
    return f"Please tell this project's issue tracker: this line, and {project / ENVIRONMENT}"
