"""The Model Openness Framework 1.0: its 17 components, of which type each is, and which class needs it.

Source: White et al., The Model Openness Framework, version 1.0, table of classes and components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from registry.records.openness_record import CLASSES, OpennessClass

TITLES: Mapping[OpennessClass, str] = {"I": "Open Science", "II": "Open Tooling", "III": "Open Model"}
"""What each class is called."""
Kind = Literal["code", "data", "document"]
"""The type of a component. It decides which licences suit it."""


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a model."""

    name: str
    """What records and programs call it."""
    title: str
    """What the framework calls it."""
    kind: Kind
    """Its type."""
    of_class: OpennessClass
    """The least open class that speaks of it."""
    optional: bool = False
    """Whether a release can be of that class without it."""


COMPONENTS = (
    Component("model-architecture", "Model architecture", "code", "III"),
    Component("model-parameters-final", "Model parameters (final)", "data", "III"),
    Component("model-card", "Model card", "document", "III"),
    Component("data-card", "Data card", "document", "III"),
    Component("technical-report", "Technical report", "document", "III"),
    Component("evaluation-results", "Evaluation results", "document", "III"),
    Component("sample-outputs", "Sample model outputs", "document", "III", optional=True),
    Component("training-code", "Training code", "code", "II"),
    Component("inference-code", "Inference code", "code", "II"),
    Component("evaluation-code", "Evaluation code", "code", "II"),
    Component("evaluation-data", "Evaluation data", "data", "II"),
    Component("supporting-libraries", "Supporting libraries, tools", "code", "II", optional=True),
    Component("datasets", "Datasets", "data", "I"),
    Component("data-preprocessing-code", "Data preprocessing code", "code", "I"),
    Component("model-parameters-intermediate", "Model parameters (interm.)", "data", "I"),
    Component("research-paper", "Research paper", "document", "I"),
    Component("model-metadata", "Model metadata", "data", "I", optional=True),
)
"""Each component, in the order of the classes."""
NAMES = tuple(component.name for component in COMPONENTS)
BY_NAME: Mapping[str, Component] = {component.name: component for component in COMPONENTS}
STAND_INS: Mapping[str, str] = {"technical-report": "research-paper"}
"""A component -> another that may stand for it."""


def needed(wanted: OpennessClass) -> tuple[Component, ...]:
    """The components that a release of class `wanted` must have."""
    within = CLASSES[CLASSES.index(wanted) :]
    return tuple(component for component in COMPONENTS if component.of_class in within and not component.optional)


def is_as_open(one: OpennessClass | None, other: OpennessClass | None) -> bool:
    """Whether class `one` is `other`, or a more open one; None, no class at all, is the least open."""
    return _rank(one) <= _rank(other)


def _rank(of: OpennessClass | None) -> int:
    return len(CLASSES) if of is None else CLASSES.index(of)
