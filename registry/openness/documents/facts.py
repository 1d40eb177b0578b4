"""What the records of a release say, gathered once for all documents that are rendered from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from registry.errors import Malformed, Unavailable
from registry.files import read_bytes
from registry.openness import energy, settings
from registry.openness.cards import figures
from registry.openness.energy import Energy
from registry.openness.told import Told
from registry.records import data_manifest, layout, package_locks
from registry.records.base_record import Base
from registry.records.checkpoint_chain import Chain
from registry.records.data_manifest import Summary
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.kinds import CONFIG, PIPELINE, ModelFolder
from registry.records.package_locks import Pin
from registry.records.release_record import ReleaseRecord
from registry.records.tokens import Tokens

Found = TypeVar("Found")

LOCKS = tuple(f"{layout.PROVENANCE}/{name}" for name in layout.PACKAGE_LOCKS)
"""Where a lock of packages stands: the first that is there counts."""
RECORDS = (
    layout.RECORD, layout.STAGES, layout.PARAMS, layout.SETTINGS, layout.DATA_SUMMARY, layout.DATA_ROWS,
    layout.DATA_TABLE, layout.TOKENS, layout.CHECKPOINTS, layout.EVALUATION, layout.ENVIRONMENT, layout.BASE,
    layout.EMISSIONS, CONFIG, PIPELINE,
)  # fmt: skip
"""What documents are rendered from, beside a lock of packages and the project's own files of metrics."""


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What is known of a release; None, or nothing, of what nobody recorded."""

    record: ReleaseRecord
    """Which version of which model, of which commit, with which weights."""
    told: Told
    """What a person said."""
    digests: Mapping[str, str]
    """SHA-256 of every file by its path."""
    architecture: str | None
    """What its config.json calls the architecture."""
    family: str | None
    """What its config.json calls the type of the model."""
    data: Summary | None
    """The summary of the data manifest."""
    tokens: Tokens | None
    """What was trained on, in tokens."""
    chain: Chain | None
    """The checkpoints."""
    evaluation: Evaluation | None
    """How well it does."""
    settings: Mapping[str, str]
    """What its params.yaml sets, by place."""
    figures: Mapping[str, Mapping[str, str]]
    """What the project's own files of metrics say: by file, and by place in it."""
    environment: Environment | None
    """The machine and the software that trained."""
    base: Base | None
    """The model that training began with."""
    energy: Energy | None
    """The energy that it took."""
    lock: str | None
    """Where the lock of packages stands."""
    packages: tuple[Pin, ...]
    """What it pins, sorted; where it is not read here, those whose versions the environment's record has."""

    @property
    def place(self) -> str:
        """Where the release stands: hf://namespace/name@tag."""
        return f"hf://{self.record.repo}@{self.record.tag}"

    @property
    def title(self) -> str:
        """What people call the model; else its name."""
        return self.told.title or self.record.repo.partition("/")[2]

    @property
    def rendered_from(self) -> dict[str, str]:
        """SHA-256 of each record behind the documents, by its path, sorted."""
        of_figures = [path for path in self.digests if path.startswith(f"{layout.FIGURES}/")]
        paths = {*RECORDS, *of_figures, *filter(None, [self.lock])}
        return {path: self.digests[path] for path in sorted(paths) if path in self.digests}


def read(root: Path, digests: Mapping[str, str]) -> ReleaseFacts:
    """What the release at `root` says, whose files have the SHA-256 `digests` by path.

    Raises Malformed for a record that is not one, Unavailable for a release without its own record.
    """

    def one(path: str, reader: Callable[[Path], Found]) -> Found | None:
        return reader(root / path) if path in digests else None

    record = one(layout.RECORD, ReleaseRecord.read)
    if record is None:
        raise Unavailable(f"the release has no {layout.RECORD}", mend="ask the maintainer for it")
    model = ModelFolder(root, tuple(digests))
    family = model.setting(CONFIG, "model_type")
    environment = one(layout.ENVIRONMENT, Environment.read)
    lock = next((path for path in LOCKS if path in digests), None)
    return ReleaseFacts(
        record=record,
        told=Told.of_release(root, record.repo),
        digests=digests,
        architecture=model.architecture[:200] or None,
        family=family[:200] if isinstance(family, str) and family else None,
        data=one(layout.DATA_SUMMARY, data_manifest.read_summary),
        tokens=one(layout.TOKENS, Tokens.read),
        chain=one(layout.CHECKPOINTS, Chain.read),
        evaluation=one(layout.EVALUATION, Evaluation.read),
        settings=settings.read(root),
        figures=figures.read(root),
        environment=environment,
        base=one(layout.BASE, Base.read),
        energy=one(layout.EMISSIONS, energy.read),
        lock=lock,
        packages=(_pins(root / lock) if lock else ()) or _measured(environment),
    )


def _pins(lock: Path) -> tuple[Pin, ...]:
    """What the lock pins; nothing where it is not read here: a project is free in how it writes its own."""
    data = read_bytes(lock, package_locks.MAX_BYTES)
    try:
        found = package_locks.pins(layout.LOCK_TOOLS[lock.name], data, lock.name) or ()
    except Malformed:
        found = ()
    return tuple(sorted(set(found), key=lambda pin: (pin.name, pin.version, pin.marker or "")))


def _measured(environment: Environment | None) -> tuple[Pin, ...]:
    if environment is None:
        return ()
    software = environment.software
    return tuple(Pin(name, getattr(software, name)) for name in ("numpy", "torch", "transformers"))
