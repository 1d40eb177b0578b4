"""The technical report and the card of the data, rendered from the records of a release: no figure is typed.

Neither is written where the records that it is made of are not there: without them it would say nothing.

Law: the same records and texts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.digest import sha256_file
from registry.openness import settings
from registry.openness.cards import figures, model_card
from registry.openness.cards.model_card import About, environment, read_if_there
from registry.records import data_manifest, layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.release_record import ReleaseRecord
from registry.records.run import Stages
from registry.records.tokens import Tokens

TEMPLATES = {layout.DATA_CARD: "release_data.md.j2", layout.TECHNICAL_REPORT: "technical_report.md.j2"}
"""Where each stands in a release, and what it is rendered by."""
CITED = (
    layout.RECORD, layout.STAGES, layout.PARAMS, layout.SETTINGS, layout.DATA_SUMMARY, layout.DATA_ROWS,
    layout.DATA_TABLE, layout.TOKENS, layout.CHECKPOINTS, layout.METRICS, layout.ENVIRONMENT, layout.EVALUATION,
    *(f"{layout.PROVENANCE}/{name}" for name in layout.PACKAGE_LOCKS),
)  # fmt: skip
"""The records that a report names by their digests, where the release has them."""


def written(folder: Path, about: About) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of each that the release in `folder` can have, and does not have already.

    Raises InputError where a record is malformed.
    """
    told = _told(folder)
    measured = told["evaluation"] is not None or told["figures"]
    whole = bool(told["data"] and told["stages"] and told["settings"] and measured)
    for path, possible in ((layout.DATA_CARD, told["data"] is not None), (layout.TECHNICAL_REPORT, whole)):
        if possible and not (folder / path).is_file():
            yield path, environment().get_template(TEMPLATES[path]).render(about=about, **told).encode()


def _told(folder: Path) -> dict[str, Any]:
    """What the records of the release in `folder` say."""
    stages = read_if_there(folder, layout.STAGES, Stages.read)
    return {
        "record": ReleaseRecord.read(folder / layout.RECORD),
        "model": model_card.facts(folder),
        "data": read_if_there(folder, layout.DATA_SUMMARY, data_manifest.read_summary),
        "tokens": read_if_there(folder, layout.TOKENS, Tokens.read),
        "chain": read_if_there(folder, layout.CHECKPOINTS, Chain.read),
        "machine": read_if_there(folder, layout.ENVIRONMENT, Environment.read),
        "evaluation": read_if_there(folder, layout.EVALUATION, Evaluation.read),
        "stages": stages.stages if stages else (),
        "settings": settings.read(folder),
        "figures": figures.read(folder),
        "cited": {path: sha256_file(folder / path) for path in CITED if (folder / path).is_file()},
    }
