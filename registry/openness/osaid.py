"""The Open Source AI Definition 1.0: what it asks for, by the components of the Model Openness Framework.

Code and parameters have to be under licences that the Open Source Initiative approved. The data itself need not be
open: information is enough that lets a skilled person build a substantially equivalent system.

Source: The Open Source AI Definition 1.0, Open Source Initiative, section on the preferred form to make modifications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.openness.licences import is_osi
from registry.records.openness_record import COUNTED, ComponentState


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that the definition asks for."""

    name: str
    """What records and programs call it."""
    title: str
    """What a reader calls it."""
    components: tuple[str, ...]
    """The components that show it."""
    any_of: bool = False
    """Whether one of them is enough."""
    osi: bool = True
    """Whether each has to be under a licence that the Open Source Initiative approved."""


REQUIREMENTS = (
    Requirement(
        "data-information", "Data information",
        ("datasets", "data-card", "technical-report", "research-paper"), any_of=True, osi=False,
    ),
    Requirement("preprocessing", "Code: data preprocessing", ("data-preprocessing-code",)),
    Requirement("training", "Code: training, validation, testing", ("training-code", "evaluation-code")),
    Requirement("inference", "Code: inference", ("inference-code",)),
    Requirement("libraries", "Code: supporting libraries, tools", ("supporting-libraries",)),
    Requirement("architecture", "Model architecture", ("model-architecture",)),
    Requirement("parameters", "Model parameters", ("model-parameters-final",)),
)  # fmt: skip
"""Each, in the order of the definition."""
BEST_FIRST: tuple[ComponentState, ...] = ("open", "conditional", "unknown", "missing")


def checklist(states: Mapping[str, ComponentState], licences: Mapping[str, str | None]) -> dict[str, ComponentState]:
    """Whether each thing is there: `open`, `missing` or `unknown`. By name of a component: its state, its licence."""

    def one(name: str, osi: bool) -> ComponentState:
        if states[name] not in COUNTED:
            return states[name]
        return "open" if not osi or is_osi(licences[name] or "") else "missing"

    found: dict[str, ComponentState] = {}
    for asked in REQUIREMENTS:
        each = [one(name, asked.osi) for name in asked.components]
        found[asked.name] = min(each, key=BEST_FIRST.index) if asked.any_of else max(each, key=BEST_FIRST.index)
    return found


def verdict(found: Mapping[str, ComponentState]) -> bool | None:
    """Whether all of it is there: True, False, or None where it cannot be told."""
    worst = max(found.values(), key=BEST_FIRST.index)
    return {"open": True, "missing": False}.get(worst)
