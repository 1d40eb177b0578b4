"""harness.json: how the weights do in tasks of lm-evaluation-harness, with all that decides the figures.

    evaluate.harness in params.yaml               what to run: HarnessSettings
    build/harness/harness.json, provenance/...    what came out: HarnessEvaluation

A task is bound by the SHA-256 of its configuration, of the files that define it where they are the project's own, and
by the harness's own hash over every document, prompt and target. So the same figures of another task are seen.
Source: lm_eval 0.4.13, result_schema.py and loggers/evaluation_tracker.py.

Law: `figures` names each figure once, and no name is that of a figure of another record.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from registry.records.record import Count, Record, Sha256
from registry.records.run import ProjectPath

NAME = "harness.json"
FIGURES = "harness:"
"""How the names of its figures begin, where others' stand beside them: harness:gsm8k.exact_match.strict-match."""
UNFILTERED = "none"
"""What the harness calls the filter that leaves every answer as it is."""
MAX_TASKS = 1000
MOST_APART = 0.1
"""The most that a release may let a figure be apart, relatively: whoever audits is told, and lets it be no more."""

TaskName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+:-]{0,127}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
Version = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class HarnessSeeds(Record):
    """What chance begins with; each has the harness's own default."""

    random: Seed = 0
    """For Python's own generator."""
    numpy: Seed = 1234
    """For numpy's."""
    torch: Seed = 1234
    """For torch's."""
    fewshot: Seed = 1234
    """For the choice of examples that are shown."""


class HarnessSettings(Record):
    """evaluate.harness in params.yaml: which tasks, and how."""

    tasks: tuple[TaskName, ...] = Field(min_length=1, max_length=MAX_TASKS)
    """Tasks by name: of `include_path`, else the harness's own, or groups and tags of those."""
    include_path: ProjectPath | None = None
    """A folder of the project with tasks of its own, in YAML, and with their data."""
    num_fewshot: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How many solved examples each question is shown after; None: as each task says."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """How many documents of each task, from the first; None: all of them."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 8
    """How many requests the model is given at a time."""
    seeds: HarnessSeeds = HarnessSeeds()
    """What chance begins with."""
    bootstrap: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """How often documents are drawn anew for the standard error of a figure that is another thing than a mean."""
    unsafe_code: bool = False
    """Whether programs that the model writes may be run, as HumanEval does. It is for a machine to throw away."""
    tolerance: Annotated[float, Field(ge=0, le=MOST_APART)] = 0.0
    """How far apart, relatively, a figure may be where somebody runs this again; 0: not at all."""


class HarnessFigure(Record):
    """One figure of a task or a group."""

    name: Word
    """The metric, such as acc."""
    answers: Word
    """The filter that answers went through first; `none`: they are taken as they are."""
    value: Number
    """What was reached."""
    stderr: Number | None
    """Its standard error; None where the harness gives none."""
    higher_is_better: bool | None
    """Whether more is better; None where the task does not say."""


class HubData(Record):
    """Where the documents of a task came from, where that is a Hub."""

    repo: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    ]
    """OWNER/NAME of the data set."""
    name: Annotated[str, StringConstraints(max_length=200)] | None
    """Which of its parts; None for its only one."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None
    """The commit; None where the task names none. What was read is bound by the task's hash all the same."""


class HarnessTask(Record):
    """What came out of one task."""

    task: TaskName
    """What it is called."""
    version: Version | None
    """The task's own version; None where it states none."""
    config: Sha256
    """SHA-256 over the task's whole configuration, as canonical JSON, but for where on a disk it lies."""
    files: dict[ProjectPath, Sha256] = Field(max_length=1000)
    """SHA-256 of each file of the project that makes the task: its YAML, its data. Empty for the harness's own."""
    hash: Sha256
    """The harness's own hash over every document, prompt and target that was evaluated."""
    data: HubData | None
    """Where its documents came from; None where that is the project, or is not known."""
    output: Word
    """What the model is asked for, such as multiple_choice or generate_until."""
    shots: Count
    """How many solved examples each question was shown after."""
    documents: Count
    """How many documents were evaluated."""
    of: Count
    """How many the task has."""
    figures: tuple[HarnessFigure, ...] = Field(min_length=1, max_length=100)
    """What was measured, by name and filter."""

    @property
    def whole(self) -> bool:
        """Whether every document was evaluated."""
        return self.documents == self.of

    @model_validator(mode="after")
    def _part_of_it(self) -> Self:
        if self.documents > self.of:
            raise ValueError(f"{self.documents} documents were evaluated of {self.of}")
        return self


class HarnessGroup(Record):
    """Figures over several tasks, such as mmlu."""

    group: TaskName
    """What it is called."""
    figures: tuple[HarnessFigure, ...] = Field(min_length=1, max_length=100)
    """What was measured, by name and filter."""


class HarnessEvaluation(Record):
    """harness.json."""

    schema_: Literal["glasshouse.harness/v1"] = Field("glasshouse.harness/v1", alias="schema")
    """The format, with its version."""
    weights: Sha256
    """SHA-256 of the file of weights; of several, the digest of a directory that holds them alone."""
    lm_eval: Version
    """The version of the harness."""
    settings: HarnessSettings
    """What was asked for."""
    tasks: tuple[HarnessTask, ...] = Field(min_length=1, max_length=MAX_TASKS)
    """Each task, by name."""
    groups: tuple[HarnessGroup, ...] = Field(max_length=MAX_TASKS)
    """Figures over several of them, by name."""

    @property
    def figures(self) -> dict[str, float]:
        """Every figure by its name: harness:TASK.METRIC, or harness:TASK.METRIC.FILTER."""
        rows = [(one.task, one.figures) for one in self.tasks] + [(one.group, one.figures) for one in self.groups]
        return {_named(name, figure): figure.value for name, figures in rows for figure in figures}

    @model_validator(mode="after")
    def _sorted_and_once(self) -> Self:
        names = [one.task for one in self.tasks], [one.group for one in self.groups]
        if any(found != sorted(set(found)) for found in names):
            raise ValueError("tasks or groups are not sorted by name, or one stands twice")
        rows = [one.figures for one in self.tasks] + [one.figures for one in self.groups]
        if len(self.figures) != sum(map(len, rows)):
            raise ValueError("a figure stands twice")
        return self


def _named(name: str, figure: HarnessFigure) -> str:
    ending = "" if figure.answers == UNFILTERED else f".{figure.answers}"
    return f"{FIGURES}{name}.{figure.name}{ending}"
