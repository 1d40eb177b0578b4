"""Tasks of the project's own for lm-evaluation-harness: YAML as the harness has it, and data in JSON lines.

    task: colours                           what it is called
    dataset_path: json                      or OWNER/NAME of a data set on the Hub
    dataset_kwargs: {data_files: {test: tasks/colours.jsonl}}
    test_split: test
    output_type: multiple_choice
    doc_to_text: "{{question}}"             ... and the other fields of LocalTask

The harness itself reads more: `!function` runs a file of Python, `include` reads any other file, a metric that it does
not know is fetched as code. Here a task is what LocalTask has, and nothing else. Its templates are Jinja's, which can
run code all the same: whoever runs a stranger's tasks walls them in, as `glasshouse audit evaluate` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pipelines.params import Section
from registry import canonical, strict_yaml
from registry.digest import sha256_file
from registry.errors import InputError
from registry.files import read_bytes
from registry.manifest import walk
from registry.records.harness import HubData, TaskName, Word
from registry.records.record import validated
from registry.records.run import ProjectPath

MAX_FILES = 10_000
MAX_DATA = 1 << 28
"""Bytes of one file of data."""
MAX_TASK = 1 << 20
JSON_LINES = "json"
MEND = "docs/how-to/evaluate.md says what a task of a project can have"

Template = Annotated[str, StringConstraints(max_length=100_000)]
Split = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Plain = str | int | float | bool | None


class TaskMetric(Section):
    """A metric that the harness knows."""

    metric: Word
    """Its name, such as acc."""
    aggregation: Word | None = None
    """How the figures of all documents become one, such as mean."""
    higher_is_better: bool | None = None
    """Whether more is better."""
    ignore_case: bool | None = None
    """For exact_match."""
    ignore_punctuation: bool | None = None
    """For exact_match."""
    regexes_to_ignore: tuple[Template, ...] | None = Field(None, max_length=100)
    """For exact_match."""


class FilterStep(Section):
    """A step of a filter that the harness knows."""

    function: Word
    """Its name, such as regex or take_first."""
    regex_pattern: Template | None = None
    """For regex."""
    group_select: int | None = None
    """For regex."""
    k: int | None = None
    """For those that take so many answers."""


class TaskFilter(Section):
    """What answers go through before they are measured."""

    name: Word
    """What the figures after it are called by."""
    filter: tuple[FilterStep, ...] = Field(min_length=1, max_length=100)
    """The steps."""


class TaskData(Section):
    """Where the data lie."""

    data_files: dict[Split, ProjectPath] | None = Field(None, min_length=1, max_length=10)
    """For JSON lines: the file of each split, from the project's root, in the folder of the tasks."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    """For a data set of the Hub: its commit."""


class LocalTask(Section):
    """A task, as its YAML says: fields as the harness names them, and what it takes them for."""

    task: TaskName
    task_alias: TaskName | None = None
    tag: TaskName | tuple[TaskName, ...] | None = None
    output_type: Literal["multiple_choice", "loglikelihood", "loglikelihood_rolling", "generate_until"]
    dataset_path: Annotated[str, StringConstraints(pattern=r"^(json|[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9._-]+)$")]
    dataset_name: Annotated[str, StringConstraints(max_length=200)] | None = None
    dataset_kwargs: TaskData = TaskData()
    training_split: Split | None = None
    validation_split: Split | None = None
    test_split: Split | None = None
    fewshot_split: Split | None = None
    num_fewshot: Annotated[int, Field(ge=0, le=1000)] | None = None
    description: Template | None = None
    doc_to_text: Template
    doc_to_target: Template | int
    doc_to_choice: Template | tuple[Template, ...] | None = None
    target_delimiter: Template | None = None
    fewshot_delimiter: Template | None = None
    gen_prefix: Template | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)] | None = None
    generation_kwargs: dict[Word, Plain | tuple[Plain, ...]] | None = Field(None, max_length=100)
    metric_list: tuple[TaskMetric, ...] = Field(min_length=1, max_length=100)
    filter_list: tuple[TaskFilter, ...] | None = Field(None, max_length=100)
    metadata: dict[Word, Plain] | None = Field(None, max_length=100)

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if (self.dataset_path == JSON_LINES) is not (self.dataset_kwargs.data_files is not None):
            raise ValueError("dataset_kwargs.data_files goes with `dataset_path: json`, and with nothing else")
        if self.test_split is None and self.validation_split is None:
            raise ValueError("neither test_split nor validation_split says what is evaluated")
        return self


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task of the project."""

    path: str
    """Its YAML, from the project's root."""
    said: LocalTask
    """What it says."""

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file that makes it, by its path from the project's root."""
        paths = (self.path, *(self.said.dataset_kwargs.data_files or {}).values())
        return {path: sha256_file(Path(path)) for path in sorted(set(paths))}

    @property
    def hub(self) -> HubData | None:
        """The data set of the Hub that it reads; None where it reads files."""
        if self.said.dataset_path == JSON_LINES:
            return None
        said = self.said
        return HubData(repo=said.dataset_path, name=said.dataset_name, revision=said.dataset_kwargs.revision)

    def config(self) -> dict[str, Any]:
        """What the harness is given for it: what it says, without what it does not say."""
        return self.said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The documents of each split, of JSON lines. Raises InputError for a line that is not an object of the others'
        fields."""
        return {split: list(_rows(path)) for split, path in (self.said.dataset_kwargs.data_files or {}).items()}


def found(folder: str | None) -> dict[str, FoundTask]:
    """Every task in `folder` of the project, below the current directory, by name. None: there are none.

    Raises InputError for a folder that is not there or holds a link, for YAML that is not a LocalTask, for data outside
    the folder, and for two tasks of one name.
    """
    tasks: dict[str, FoundTask] = {}
    for path in _yaml(folder) if folder is not None else ():
        with validated(path, mend=MEND):
            document = strict_yaml.read(Path(path), max_bytes=MAX_TASK)
            canonical.dumps(document)  # refuses what JSON cannot say
            said = LocalTask.model_validate_json(json.dumps(document))  # which keeps 1.0 apart from 1
        for data in (said.dataset_kwargs.data_files or {}).values():
            if not data.startswith(f"{folder}/") or not Path(data).is_file():
                raise InputError(f"{path} reads {data}, which is not a file in {folder}", mend="move it there")
        if said.task in tasks:
            raise InputError(f"{path} and {tasks[said.task].path} are both called {said.task}", mend="rename one")
        tasks[said.task] = FoundTask(path, said)
    return tasks


def _yaml(folder: str) -> Iterator[str]:
    if not Path(folder).is_dir():
        raise InputError(f"there is no folder {folder}", mend="mend evaluate.harness.include_path in params.yaml")
    paths = [path for path, _ in walk(Path(folder))]
    if len(paths) > MAX_FILES:
        raise InputError(f"{folder} holds more than {MAX_FILES} files", mend="name a folder of tasks alone")
    yield from (f"{folder}/{path}" for path in paths if path.endswith((".yaml", ".yml")))


def _rows(path: str) -> Iterator[dict[str, Any]]:
    fields: set[str] | None = None
    for number, line in enumerate(read_bytes(Path(path), MAX_DATA).splitlines(), start=1):
        if line.strip():
            row = canonical.parse(line, name=f"{path}, line {number}")
            if not isinstance(row, dict) or (fields is not None and row.keys() != fields):
                raise InputError(f"{path}, line {number} is not an object with the fields of the first", mend="mend it")
            fields = set(row)
            yield row
