"""How open a model is: each component judged, the class that they reach, and what the next one lacks.

Laws: a class is reached where every component that it needs counts, and it is open to doubt (`at_most`) where those
that do not count are unknown. `Assessment.record` is a function of the judgements, and their words are not in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from registry.openness import osaid
from registry.openness.framework import BY_NAME, COMPONENTS, STAND_INS, TITLES, Component, needed
from registry.openness.licences import Grade, grade
from registry.records.openness_record import (
    CLASSES,
    COUNTED,
    ComponentState,
    EvidenceFile,
    OpenComponent,
    OpennessClass,
    OpennessRecord,
)
from registry.records.record import validated

FRAMEWORK: str = OpennessRecord.model_fields["framework"].default
"""What the framework is called, with its version."""
MEND = "report the release to its maintainer: its records say what no record of openness can"


@dataclass(frozen=True, slots=True)
class Judged:
    """One component, and why it does or does not count."""

    component: Component
    """Which one."""
    state: ComponentState
    """Whether it counts."""
    why: str
    """Why, in words."""
    licence: str | None = None
    """SPDX expression, or the Hub's name of a licence; None where none is known."""
    files: tuple[EvidenceFile, ...] = ()
    """What it is."""

    @property
    def counts(self) -> bool:
        """Whether a class can rest on it."""
        return self.state in COUNTED

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "name": self.component.name,
            "title": self.component.title,
            "type": self.component.kind,
            "class": self.component.of_class,
            "optional": self.component.optional,
            "state": self.state,
            "license": self.licence,
            "why": self.why,
            "files": [file.as_json() for file in self.files],
        }


def missing(name: str, why: str, *, licence: str | None = None, files: Iterable[EvidenceFile] = ()) -> Judged:
    """The component `name`, which does not count."""
    return Judged(BY_NAME[name], "missing", why, licence, tuple(files))


def unknown(name: str, why: str, *, licence: str | None = None, files: Iterable[EvidenceFile] = ()) -> Judged:
    """The component `name`, of which it cannot be seen whether it counts."""
    return Judged(BY_NAME[name], "unknown", why, licence, tuple(files))


def licensed(name: str, words: str, licence: str, files: Iterable[EvidenceFile]) -> Judged:
    """The component `name`, which is `files`, under `licence`. words: what it is, and how its licence is known."""
    component = BY_NAME[name]
    state, told = _told(licence, component)
    return Judged(component, state, f"{words}; {told}", licence, tuple(files))


def _told(licence: str, component: Component) -> tuple[ComponentState, str]:
    match grade(licence, component.kind):
        case Grade.OPEN:
            return "open", f"{licence[:100]} is an open licence for {component.kind}"
        case Grade.CONDITIONAL:
            return "conditional", f"{licence[:100]} is open, and was written for another type than {component.kind}"
    return "missing", f"{licence[:100]} is not known to be an open licence"


@dataclass(frozen=True)
class Assessment:
    """What the components of one model come to."""

    subject: str
    """What was looked at."""
    judged: tuple[Judged, ...]
    """Each of the framework's components, in its order."""

    @classmethod
    def of(cls, subject: str, judged: Iterable[Judged]) -> Assessment:
        """The judgements on each component, in any order; of two, the last. Raises KeyError where one is missing."""
        by_name = {one.component.name: one for one in judged}
        return cls(subject, tuple(by_name[component.name] for component in COMPONENTS))

    def replaced(self, one: Judged) -> Assessment:
        """This, with another judgement on one component."""
        return Assessment.of(self.subject, (*self.judged, one))

    @cached_property
    def by_name(self) -> Mapping[str, Judged]:
        """Each judgement by the name of its component."""
        return {one.component.name: one for one in self.judged}

    @property
    def reached(self) -> OpennessClass | None:
        """The most open class whose components all count; None where III lacks one."""
        return self._best(COUNTED)

    @property
    def at_most(self) -> OpennessClass | None:
        """The most open class that it can be of, if all that is unknown counts."""
        return self._best((*COUNTED, "unknown"))

    @property
    def next_class(self) -> OpennessClass | None:
        """The class above the one that is reached; None above I."""
        return next_above(self.reached)

    @property
    def lacking(self) -> tuple[Judged, ...]:
        """What the class above lacks."""
        above = self.next_class
        return self.short_of(above) if above else ()

    def short_of(self, wanted: OpennessClass) -> tuple[Judged, ...]:
        """What it lacks to be of class `wanted`."""
        return tuple(self._failing(wanted, COUNTED))

    @property
    def osaid(self) -> Mapping[str, ComponentState]:
        """What the Open Source AI Definition asks for, and whether it is there."""
        states = {name: one.state for name, one in self.by_name.items()}
        return osaid.checklist(states, {name: one.licence for name, one in self.by_name.items()})

    @property
    def record(self) -> OpennessRecord:
        """The facts, without the words. Raises Malformed for a licence or a path that no record can hold."""
        with validated("how open it is", mend=MEND):
            components = tuple(
                OpenComponent(name=one.component.name, state=one.state, license=one.licence, files=one.files)
                for one in self.judged
            )
            return OpennessRecord(reached=self.reached, components=components, osaid=dict(self.osaid))

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "subject": self.subject,
            "framework": FRAMEWORK,
            "class": self.reached,
            "atMost": self.at_most,
            "next": self.next_class,
            "lacking": [one.component.name for one in self.lacking],
            "components": [one.as_json() for one in self.judged],
            "osaid": {"met": osaid.verdict(self.osaid), "requirements": dict(self.osaid)},
        }

    def _best(self, counted: Collection[ComponentState]) -> OpennessClass | None:
        best: OpennessClass | None = None
        for wanted in reversed(CLASSES):
            if next(self._failing(wanted, counted), None) is not None:
                break
            best = wanted
        return best

    def _failing(self, wanted: OpennessClass, counted: Collection[ComponentState]) -> Iterator[Judged]:
        for component in needed(wanted):
            one = self.by_name[component.name]
            stand_in = self.by_name.get(STAND_INS.get(component.name, ""), one)
            if one.state not in counted and stand_in.state not in counted:
                yield one


def next_above(of: OpennessClass | None) -> OpennessClass | None:
    """The class above `of`; None above I."""
    above = CLASSES[: len(CLASSES) if of is None else CLASSES.index(of)]
    return above[-1] if above else None


def called(of: OpennessClass | None) -> str:
    """A class as a reader is told of it."""
    return "no class" if of is None else f"class {of} ({TITLES[of]})"
