"""Stages that DVC makes of templates, and stages of several commands: run by the real dvc, recorded, and verified."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import strict_yaml
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, InputError, Refused, Unavailable
from registry.files import write_atomic
from registry.manifest import Manifest
from registry.project import recorder as recorder
from registry.project import stage_runs
from registry.provenance import slsa
from registry.provenance.stage_lineage import ENDS, INPUTS, Line
from registry.records import layout
from registry.records.release_record import ReleaseRecord, SourceCode
from registry.records.run import Run, Stages
from tests.registry.project import small_dvc
from tests.registry.project.small_dvc import RECORD, dvc, git

LONG = " ".join(f"'word {number}'" for number in range(20))
FOLDED = "a file with a name so long, and with so many spaces, that dvc.lock has it in two lines"
PIPELINE = f"""
vars:
  - suffix: .txt
  - settings/paths.yaml
stages:
  prepare:
    cmd:
      - {RECORD} --begin
      - mkdir -p data && cp in data/first
      - ${{SPOIL:-true}}
      - cp in data/second
      - {RECORD} --end
    deps: [in]
    outs: [data, runs/prepare.run.json]
  each:
    foreach: [a, b]
    do:
      cmd: {RECORD} -- sh each.sh ${{item}} ${{paths.parts}}/${{item}}${{suffix}}
      deps: [each.sh, data/first]
      params: ["rate.${{item}}"]
      outs: ["${{paths.parts}}/${{item}}${{suffix}}", "runs/each@${{item}}.run.json"]
  grid:
    matrix:
      model: [small]
      set: [{{lr: 1e-5, warm: true}}, {{lr: 0.1, warm: false}}]
    wdir: grid/${{key}}
    cmd: {RECORD} -- sh ../../grid.sh ${{item.model}} ${{item.set}}
    deps: [../../grid.sh, "../../${{paths.parts}}/a${{suffix}}"]
    outs: [out, of.run.json]
  long:
    cmd: {RECORD} -- sh long.sh {LONG}
    deps: ["{FOLDED}"]
    outs: ["out of {FOLDED}", runs/long.run.json]
  last:
    cmd: |
      {RECORD} --begin
      cat grid/*/out > total

      {RECORD} --end
    deps: [grid/small-set0/out, grid/small-set1/out]
    outs: [total, runs/last.run.json]
""".replace("${SPOIL:-true}", r"\${SPOIL:-true}")
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "rate: {a: 1e-5, b: 2}\n",
    "settings/paths.yaml": "paths: {parts: parts}\n",
    "in": "input",
    "each.sh": "mkdir -p parts && echo $1 $2 > $2",
    "grid.sh": 'echo "$*" > out',
    "long.sh": f'echo "$*" > "out of {FOLDED}"',
    FOLDED: "",
    "grid/small-set0/.gitkeep": "",
    "grid/small-set1/.gitkeep": "",
}
NAMES = ["each@a", "each@b", "grid@small-set0", "grid@small-set1", "last", "long", "prepare"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `dvc repro`. Shared: copy it before changing it."""
    return small_dvc.build(tmp_path_factory.mktemp("templates") / "project", FILES)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "project"))


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a command of a stage as dvc does, without dvc: `begin`, `end`, or one to record."""

    def run(stage: str, what: str, folder: str = ".") -> None:
        monkeypatch.chdir(project / folder)
        monkeypatch.setenv("DVC_STAGE", stage)
        match what:
            case "begin":
                recorder.begin(project)
            case "end":
                recorder.end(project)
            case _:
                assert recorder.record(project, what.split()) == 0

    return run


class Told:
    """A release as far as its stages go, with what its maintainer says of them; a test may change the files."""

    def __init__(self, project: Path, root: Path) -> None:
        self.root = root
        for path in (layout.PIPELINE, layout.LOCK, layout.PARAMS):
            write_atomic(root / path, (project / Path(path).name).read_bytes())
        write_atomic(root / layout.STAGES, stage_runs.gather(project).to_bytes())
        source = SourceCode(commit="0" * 40, committed_at="", remote=None)
        self.record = ReleaseRecord(
            repo="a/b", version="1.0.0", license="MIT", parameters=1, content="f" * 64, lock="f" * 64, weights=(),
            source=source,
        )  # fmt: skip
        write_atomic(root / layout.RECORD, self.record.to_bytes())

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def answers(self) -> dict[str, str]:
        """What verification says of each stage."""
        known = Stages.read(self.root / layout.STAGES).stages
        statements = {f"{layout.STAGE}{one.run.stage}": slsa.stage(one, self.record) for one in known}
        digests = {entry.path: entry.sha256 for entry in Manifest.of_directory(self.root).entries}
        return {name.removeprefix("stage "): said for name, said in self._said(Line(self.root, statements, digests))}

    @staticmethod
    def _said(line: Line) -> Iterator[tuple[str, str]]:
        for name, link in line.links():
            if name in (ENDS, INPUTS):
                continue
            try:
                yield name, f"PASS {link()}"
            except Unavailable as problem:
                yield name, f"UNKNOWN {problem.message}"
            except GlasshouseError as problem:
                yield name, f"FAIL {problem.message}"


@pytest.fixture
def told(made: Path, tmp_path: Path) -> Told:
    return Told(made, tmp_path / "release")


def test_a_stage_of_a_template_is_recorded_as_dvc_resolves_it(made: Path) -> None:
    each, grid = (Run.read(made / path) for path in ("runs/each@a.run.json", "grid/small-set0/of.run.json"))
    assert (each.stage, each.command) == ("each@a", f"{RECORD} -- sh each.sh a parts/a.txt")
    assert each.params == {"params.yaml": {"rate.a": 1e-5}} and each.outs[0].path == "parts/a.txt"
    assert (grid.stage, grid.command) == ("grid@small-set0", f"{RECORD} -- sh ../../grid.sh small --lr 1e-05 --warm")
    assert [dep.path for dep in grid.deps] == ["grid.sh", "parts/a.txt"]
    assert [(out.path, out.sha256) for out in grid.outs] == [
        ("grid/small-set0/out", sha256_bytes(b"small --lr 1e-05 --warm\n"))
    ]


def test_a_stage_of_several_commands_is_one_run(made: Path) -> None:
    prepare, last = (Run.read(made / f"runs/{name}.run.json") for name in ("prepare", "last"))
    assert prepare.command.splitlines()[1:3] == ["mkdir -p data && cp in data/first", "${SPOIL:-true}"]
    assert (prepare.outs[0].files or {}).keys() == {"first", "second"}  # of the second and of the fourth
    assert last.outs[0].path == "total" and len(last.deps) == 2


def test_what_dvc_lock_has_in_several_lines_is_one_command_and_one_path(made: Path, told: Told) -> None:
    assert LONG not in (text := (made / "dvc.lock").read_text()) and FOLDED not in text
    run = Run.read(made / "runs/long.run.json")
    assert (run.command, run.deps[0].path) == (f"{RECORD} -- sh long.sh {LONG}", FOLDED)
    assert told.answers()["long"].startswith("PASS ran in the")
    told.replace(layout.LOCK, "'word 19'", "'word 20'")
    assert told.answers()["long"].startswith("FAIL it ran")


def test_all_of_them_verify(made: Path, told: Told) -> None:
    assert {known.run.stage: known.evidence for known in stage_runs.gather(made).stages} == dict.fromkeys(NAMES, "ran")
    answers = told.answers()
    assert answers.keys() == set(NAMES) and all(said.startswith("PASS ran in the") for said in answers.values())
    assert "2 dependencies (1 by other stages" in answers["grid@small-set1"]


@pytest.mark.parametrize(
    ("path", "old", "new", "stage", "words"),
    [
        (layout.PIPELINE, "sh each.sh", "sh other.sh", "each@b", "FAIL the command"),
        (layout.PIPELINE, "[each.sh, data/first]", "[each.sh, data/first, 'secret-${item}']", "each@a",
         "FAIL secret-${item}: in dvc.lock or in dvc.yaml"),
        (layout.PIPELINE, "deps: [each.sh, data/first]", "deps: [each.sh]", "each@a", "FAIL data/first: in dvc.lock"),
        (layout.PIPELINE, "${paths.parts}/${item}${suffix}", "${paths.parts}/${item}-${suffix}", "each@a", "FAIL"),
        (layout.PIPELINE, "cp in data/second", "cp other data/second", "prepare", "FAIL the command"),
        (layout.PIPELINE, "deps: [in]", "deps: [other]", "prepare", "FAIL in, other: in dvc.lock"),
        (layout.PIPELINE, "  each:", "  every:", "each@a", "FAIL the statement speaks"),
        (layout.PIPELINE, "foreach: [a, b]\n    do:", "foreach: [a]\n    does:", "each@a", "FAIL the statement speaks"),
        (layout.PIPELINE, "wdir: grid/", "wdir: elsewhere/", "grid@small-set0", "UNKNOWN the stage grid@small-set"),
        (layout.LOCK, "sh each.sh a", "sh each.sh b", "each@a", "FAIL it ran"),
        (layout.LOCK, "path: parts/b.txt", "path: parts/c.txt", "each@b", "FAIL parts/b.txt, parts/c.txt: named in"),
        (layout.LOCK, "rate.a: 1e-05", "rate.c: 1e-05", "each@a", "FAIL params.yaml: rate.a, params.yaml: rate.c"),
        (layout.PARAMS, "b: 2", "b: 3", "each@b", "FAIL the setting rate.b is not that of"),
        (layout.PARAMS, "b: 2", "c: 2", "each@b", "FAIL the setting rate.b is not in"),
    ],
)  # fmt: skip
def test_a_lock_that_is_not_of_this_dvc_yaml_is_a_gap(
    told: Told, path: str, old: str, new: str, stage: str, words: str
) -> None:
    told.replace(path, old, new)
    assert told.answers()[stage].startswith(words)


def test_a_dependency_that_moves_between_two_commands_fails_the_stage(project: Path) -> None:
    lock, record = (project / "dvc.lock").read_bytes(), (project / "runs/prepare.run.json").read_bytes()
    said = dvc("repro", "--force", "prepare", root=project, code=255, SPOIL="cp each.sh in")
    assert "prepare: in changed while it ran" in said and "Traceback" not in said
    assert (project / "dvc.lock").read_bytes() == lock and not (project / "runs/prepare.run.json").exists()
    (project / "in").write_text("input")
    dvc("repro", "--force", "prepare", root=project)
    assert (project / "runs/prepare.run.json").read_bytes() == record


def test_what_moves_before_the_end_is_seen_and_a_stage_that_never_began_has_no_end(
    project: Path, command: Callable[..., None]
) -> None:
    with pytest.raises(Refused, match="prepare ends, and nothing was measured"):
        command("prepare", "end")  # the last run has ended already
    command("prepare", "begin")  # and was killed
    command("prepare", "begin")
    command("prepare", "end")
    command("last", "begin")
    (project / "dvc.yaml").write_text(PIPELINE.replace("[grid/small-set0/out, ", "["))
    with pytest.raises(Refused, match=r"last: dvc.yaml changed while it ran"):
        command("last", "end")


@pytest.mark.parametrize(
    ("old", "new", "stage", "what", "words"),
    [
        (f"      - {RECORD} --begin\n", "", "prepare", "begin", "would not be measured"),
        (f"      - {RECORD} --end\n", "", "prepare", "begin", "would not be measured"),
        ("", "", "prepare", "true", "has 5 commands, and this one is not all of it"),
        ("${paths.parts}", "${absent}", "each@a", "true", "dvc cannot resolve it.*absent"),
        ("foreach: [a, b]", "foreach: [a, b c]", "each@b c", "true", "cannot be the name of a file"),
        ("foreach: [a, b]", "foreach: [a]", "each@b", "true", "dvc cannot resolve it.*Could not find 'each@b'"),
        (LONG, LONG.replace(" ", "  "), "long", "true", "two spaces in a row, of which dvc.lock loses one"),
        ("", "", "grid", "true", "grid is not in the project's dvc.yaml"),
        ("of.run.json", "of.json", "grid@small-set0", "true", r"one output whose name ends in .run.json"),
        ("", "", "sub/dvc.yaml:last", "begin", "sub/dvc.yaml:last is not in the project's dvc.yaml"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_it_runs(
    project: Path, command: Callable[..., None], old: str, new: str, stage: str, what: str, words: str
) -> None:
    (project / "dvc.yaml").write_text(PIPELINE.replace(old, new, 1))
    with pytest.raises(InputError, match=words) as problem:
        command(stage, what)
    assert problem.value.mend


def test_a_stage_of_another_dvc_yaml_is_not_taken_for_the_root_s(project: Path, command: Callable[..., None]) -> None:
    (project / "grid/dvc.yaml").write_text("stages: {last: {cmd: x, outs: [y]}}")
    with pytest.raises(InputError, match=r"the stage grid/dvc.yaml:last needs one output"):
        command("last", "begin", "grid")
    command("../dvc.yaml:last", "begin")
    (project / "grid/dvc.yaml").write_text("stages: {last: {cmd: x, wdir: .., outs: [y]}}")
    with pytest.raises(InputError, match=r"last, grid/dvc.yaml:last are called last and work in one directory"):
        command("last", "begin")


def test_a_name_that_no_file_can_have_is_no_surprise_at_the_release(project: Path) -> None:
    for name, words in (("each@b c", "'each@b c'"), ("each@A", "each@A, each@a")):
        lock = strict_yaml.read(project / "dvc.lock")
        lock["stages"][name] = lock["stages"].pop("each@b")
        (project / "dvc.yaml").write_text(PIPELINE.replace("[a, b]", f"[a, {name[5:]}]"))
        (project / "dvc.lock").write_text(json.dumps(lock))
        with pytest.raises(InputError, match=words):
            stage_runs.gather(project)
        git("checkout", "--quiet", "dvc.lock", root=project)


def test_the_command_asks_for_one_thing(project: Path) -> None:
    for words in ([], ["--begin", "--end"], ["--begin", "--", "true"], ["--end", "--discard"]):
        done = subprocess.run(
            [sys.executable, "-m", "registry", "record", *words], cwd=project, env=os.environ | {"DVC_STAGE": "last"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2 and "either a command" in done.stderr
