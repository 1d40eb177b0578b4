"""Where things stand in the directory of a release."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from registry import suffixes

LockTool = Literal["pip", "pylock", "uv", "poetry", "pdm", "pipenv", "pixi", "conda"]
"""Whose format a lock of packages has. pip: a requirements file; pylock: PEP 751."""

PROVENANCE = "provenance"
ATTESTATIONS = "attestations"
RESULTS = ".eval_results"
"""The folder where the Hub looks for figures."""
FOLDERS = (PROVENANCE, ATTESTATIONS, RESULTS)
"""Those of a release that hold nothing of the model."""
CARD = "README.md"
WEIGHTS = "model.safetensors"
SIGNATURE = "model.sig"
LICENSE = "LICENSE"
LICENCE_FILES = tuple(
    name + ending
    for name in (LICENSE, "LICENCE", "COPYING", "UNLICENSE", "UNLICENCE")
    for ending in ("", ".md", ".txt", ".rst")
)
"""What the text of a licence is called, by custom: the first that is there counts."""
GIT_ATTRIBUTES = ".gitattributes"
MAX_REGULAR = 10 << 20
"""Bytes of a file that a Hub may keep in git itself; larger ones go to its store of large files."""
LARGE_SUFFIXES = tuple(
    sorted(suffixes.WEIGHTS | {".7z", ".arrow", ".gz", ".model", suffixes.PARQUET, ".sqlite", ".zip", ".zst"})
)
"""How the names of files end that go there whatever their size."""
_LARGE = "filter=lfs diff=lfs merge=lfs -text"
AUDITS = "audits"
"""The branch of what others found."""

RECORD = "provenance/release.json"
STAGES = "provenance/stages.json"
LOCK = "provenance/dvc.lock"
PIPELINE = "provenance/dvc.yaml"
PARAMS = "provenance/params.yaml"
PIPELINES = "provenance/pipelines"
"""Below it: dvc.yaml, dvc.lock and params.yaml of the folders of a project, where stages stand there."""
SETTINGS = "provenance/glasshouse.yaml"
REQUIREMENTS = "provenance/requirements.lock"
LOOSE = "requirements.txt"
"""A lock only where every line pins its package."""
LOCK_TOOLS: Mapping[str, LockTool] = MappingProxyType(
    {
        "requirements.lock": "pip",
        "pylock.toml": "pylock",
        "uv.lock": "uv",
        "poetry.lock": "poetry",
        "pdm.lock": "pdm",
        "Pipfile.lock": "pipenv",
        "pixi.lock": "pixi",
        "conda-lock.yml": "conda",
        LOOSE: "pip",
    }
)
"""What locks of packages are called, and whose format that is: the first that a project has counts."""
PACKAGE_LOCKS = tuple(LOCK_TOOLS)
FIGURES = "provenance/metrics"
"""Below it: files of metrics, as the project calls them."""
LISTINGS = "provenance/listings"
"""Below it: the files of directories that a record names by their digest alone."""
PLOTS = "provenance/plots"
"""Below it: what DVC draws, as the project calls it."""
ENVIRONMENT = "provenance/environment.json"
DATA_SUMMARY = "provenance/data-manifest.json"
DATA_ROWS = "provenance/data-manifest.jsonl"
DATA_TABLE = "provenance/data-manifest.parquet"
"""The same rows, where there are millions: a release has one of the two."""
METRICS = "provenance/metrics.jsonl"
TOKENS = "provenance/tokens.json"
TOKEN_COUNTS = "provenance/token-counts.jsonl"
SEARCH = "provenance/search.json"
CHECKPOINTS = "provenance/checkpoints.json"
EVALUATION = "provenance/evaluation.json"
HARNESS = "provenance/harness.json"
CURVE = "provenance/loss.png"
BASE = "provenance/base.json"
OPENNESS = "provenance/openness.json"
DATA_CARD = "provenance/data-card.md"
TECHNICAL_REPORT = "provenance/technical-report.md"
PAPERS = ("provenance/paper.pdf", "provenance/paper.md")
"""Where a research paper stands that a project has: it names the file in `release.provenance`."""
EMISSIONS = "provenance/emissions.csv"
"""The energy that it took, as codecarbon writes it."""

BOM = "provenance/bom.cdx.json"
"""What it is made of, as CycloneDX says it."""
SPDX = "provenance/spdx.json"
"""The same, as SPDX says it."""
CROISSANT = "provenance/croissant.json"
"""Its training data, as Croissant says it."""
TRAINING_SUMMARY = "provenance/training-summary.json"
"""The summary of its training content that the EU asks for."""
TRAINING_PAGE = "provenance/training-summary.md"
"""The same, for people."""
DOCUMENTS = (BOM, SPDX, CROISSANT, TRAINING_SUMMARY, TRAINING_PAGE)
"""What others read of a release, in formats of theirs: rendered from its records when it is prepared."""


def data_rows(paths: Container[str]) -> str:
    """Where the rows of the data manifest stand in a release of the files `paths`."""
    return DATA_TABLE if DATA_TABLE in paths else DATA_ROWS


def of_project(path: str) -> str:
    """Where a file that says how the model was built stands, by its path in the project: dvc.yaml, and its like."""
    return f"{PIPELINES if '/' in path else PROVENANCE}/{path}"


def attestation(name: str) -> str:
    """The path of the bundle of the statement `name`, such as data or stage-train."""
    return f"{ATTESTATIONS}/{name}{suffixes.BUNDLE}"


STAGE = "stage-"
"""How the short name of a stage's attestation begins. It alone speaks of files that are not in the release."""


RELEASE_ATTESTATION = attestation("release")

CARD_RECORDS = (DATA_SUMMARY, TOKENS, CHECKPOINTS, EVALUATION, HARNESS, PARAMS, RECORD)
"""What the model card is rendered from, beside the weights' header."""

NOT_THE_MODEL = frozenset((CARD, *LICENCE_FILES, SIGNATURE, GIT_ATTRIBUTES))
"""Files at the root of a release that no stage wrote for those who load the model."""

JOINED_LATER = frozenset(
    (
        CARD, RECORD, STAGES, PIPELINE, LOCK, PARAMS, SETTINGS, SIGNATURE, OPENNESS, DATA_CARD, TECHNICAL_REPORT,
        *DOCUMENTS,
    )
)  # fmt: skip
"""Files of a release that say its version, commit or lock, or are the source's own: no stage's outputs."""


def is_joined_later(path: str) -> bool:
    """Whether the file at `path` of a release is one of JOINED_LATER, or below LISTINGS."""
    return path in JOINED_LATER or path.startswith(f"{LISTINGS}/")


def is_model_file(path: str) -> bool:
    """Whether the file at `path` of a release came from the exported model's directory."""
    return path not in NOT_THE_MODEL and path.split("/")[0] not in FOLDERS


COVERED_LAST = frozenset((SIGNATURE, RELEASE_ATTESTATION))
"""Files that the release statement cannot list, because they are made after it. model.sig covers the release statement;
nothing covers model.sig but its own signature."""


def large_files(endings: Iterable[str]) -> bytes:
    """The `.gitattributes` by which a git client of the Hub keeps files whose names end so as large ones."""
    return "".join(f"*{ending} {_LARGE}\n" for ending in endings).encode()


def large_file(path: str) -> str:
    """The line of a `.gitattributes` for the one file at `path`, from the folder that the `.gitattributes` is in.

    Source: gitattributes(5). It stands from the root on, so nothing in a pattern's first place means more than itself.
    """
    exact = re.sub(r"([*?\[\\])", r"\\\1", path).replace(" ", "[[:space:]]")
    return f"/{exact} {_LARGE}\n"


def is_kept_large(path: str, size: int, start: bytes) -> bool:
    """Whether a Hub keeps the file at `path`, of `size` bytes that begin with `start`, as a large one."""
    return size > 0 and (b"\0" in start or size > MAX_REGULAR or path.lower().endswith(LARGE_SUFFIXES))
