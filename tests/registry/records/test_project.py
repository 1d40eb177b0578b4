"""What a project says of how it is replayed is taken as it stands, or refused. What it does not say is as it was."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines import corpus, encode, evaluate, export, replay, tokenizer, train
from registry import variables
from registry.errors import InputError, Unavailable
from registry.records import layout, replay_command
from registry.records.project import AdamW, DataOrder, Project, ReplayContract
from tests import other_project

ROOT = Path(__file__).resolve().parents[3]
TRAIN = {"steps": 6, "micro_batches": 4, "micro_batch_rows": 2, "clip_norm": 1, "beta2": 0.95}


def test_what_is_not_declared_is_what_it_always_was() -> None:
    """Releases from before there was a contract are replayed so, for ever: these are no values to be changed."""
    project = Project.parse({})
    assert (project.replay.module, project.replay.data) == ("pipelines.replay", "encode")
    assert (project.draft, project.trained, project.lock) == ("build/release", "build/train", "requirements.lock")
    assert [project.source_of(place) for place in (layout.DATA_ROWS, layout.DATA_SUMMARY, layout.TOKENS)] == [
        "build/corpus/data-manifest.jsonl", "build/corpus/data-manifest.json", "build/tokens/tokens.json"
    ]  # fmt: skip
    assert project.source_of("tokenizer.json") == "build/tokenizer/tokenizer.json"
    assert project.source_of(layout.EVALUATION) is None and project.source_of("config.json") is None
    told = Project.parse({"train": TRAIN})
    assert (told.steps, told.rows, told.processes, told.adamw) == (6, 8, 4, (1.0, 0.95))


def test_this_project_declares_what_its_stages_do() -> None:
    """params.yaml, dvc.yaml and pipelines say the same, and it is what releases that declare nothing are taken for."""
    project, before = Project.read(ROOT / "params.yaml"), Project.parse({})
    assert project.replay.model_copy(update={"order": None}) == before.replay == ReplayContract()
    assert project.replay.order == DataOrder(), "an order that nobody states is not this project's"
    assert "replay" in project.settings["release"], "what others copy from says it aloud"
    assert project.replay.module == replay.__name__ and project.replay.is_in(ROOT)
    for known in (project, before):
        assert Path(known.trained) == train.OUT and Path(known.draft) == Path("build/release")
        assert known.source_of(layout.TOKENS) == f"{encode.OUT}/tokens.json" == f"{train.TOKENS}/tokens.json"
        assert known.source_of(layout.DATA_ROWS) == f"{corpus.OUT}/data-manifest.jsonl"
        assert known.source_of("tokenizer.json") == f"{tokenizer.OUT}/{tokenizer.NAME}"
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    outs = {
        name: [
            path
            for out in (*stage["outs"], *stage.get("metrics", ()))
            for path in ([out] if isinstance(out, str) else out)
        ]
        for name, stage in stages.items()
    }
    assert str(encode.OUT) in outs[project.replay.data]
    made = {
        "corpus": corpus.OUT,
        "tokenizer": tokenizer.OUT,
        "train": train.OUT,
        "export": export.OUT,
        "evaluate": evaluate.OUT,
    }
    for name, folder in made.items():
        others = [path for path in outs[name] if not PurePosixPath(path).is_relative_to(folder)]
        assert others == [f"build/runs/{name}.run.json"], name
    assert outs["release"] == [project.draft, "build/runs/release.run.json"]


def test_another_project_declares_all_of_it() -> None:
    section = {
        "output": "out/bundle",
        "provenance": ["out/t/tokens.json", "runs/1/checkpoints.json", "locks/requirements.lock"],
        "replay": {
            "module": "loom.again", "data": "spin@all", "made": {"vocabulary.txt": "out/words.txt"},
            "steps": "loom.picks", "rows": ["loom.threads"], "processes": None, "adamw": None,
        },
    }  # fmt: skip
    project = Project.parse({"loom": {"picks": 9, "threads": 3}, "release": section})
    assert (project.draft, project.trained, project.lock) == ("out/bundle", "runs/1", "locks/requirements.lock")
    assert (project.steps, project.rows, project.processes, project.adamw) == (9, 3, 1, None)
    assert project.source_of("vocabulary.txt") == "out/words.txt" and project.source_of("tokenizer.json") is None
    assert project.source_of(layout.TOKENS) == "out/t/tokens.json" and project.source_of(layout.DATA_ROWS) is None


def test_the_page_shows_a_project_that_is_replayed() -> None:
    """tests/e2e/test_audit_other_project.py replays it."""
    page = (ROOT / "docs/reference/replay.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    section, told = yaml.safe_load(shown)["release"], other_project.PARAMS["release"]
    assert section["replay"] == told["replay"] and section["output"] == told["output"]
    assert set(section["provenance"]) <= set(told["provenance"])
    for option in (replay_command.ENVIRONMENT, replay_command.INITIAL, replay_command.CHAIN, replay_command.SEGMENT):
        assert option in page
    assert variables.PROCESSES in page


def test_a_chain_at_the_root_was_trained_there() -> None:
    assert Project.parse({"release": {"provenance": ["checkpoints.json"]}}).trained == "."


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"replay": {"module": "--help"}}, "release.replay.module"),
        ({"replay": {"module": "a..b"}}, "release.replay.module"),
        ({"replay": {"module": "a/b"}}, "release.replay.module"),
        ({"replay": {"module": "a\n"}}, "release.replay.module"),
        ({"replay": {"module": 5}}, "release.replay.module"),
        ({"replay": {"data": "--all"}}, "release.replay.data"),
        ({"replay": {"data": "spin; rm"}}, "release.replay.data"),
        ({"replay": {"made": {"a": "../a"}}}, "release.replay.made"),
        ({"replay": {"made": {"/a": "a"}}}, "release.replay.made"),
        ({"replay": {"made": {f"{n}": "a" for n in range(101)}}}, "release.replay.made"),
        ({"replay": {"steps": "a.b; c"}}, "release.replay.steps"),
        ({"replay": {"rows": []}}, "release.replay.rows"),
        ({"replay": {"adamw": {"beta3": "a"}}}, "release.replay.adamw.beta3"),
        ({"replay": {"mode": "fast"}}, "release.replay.mode"),
        ({"replay": None}, "release.replay"),
        ({"output": "/tmp"}, "release.output"),
        ({"output": "a/../../b"}, "release.output"),
        ({"provenance": ["../../etc/passwd"]}, "release.provenance.0"),
        ({"provenance": "tokens.json"}, "release.provenance"),
        ("release", "not a map"),
        (None, "not a map"),
    ],
)
def test_what_is_amiss_is_named(settings: object, named: str) -> None:
    with pytest.raises(InputError, match=re.escape(named)):
        Project.parse({"release": settings})


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "6", 2**53, [6], {"a": 6}])
def test_where_params_do_not_say_nobody_guesses(value: object) -> None:
    project = Project.parse({"train": TRAIN | {"steps": value, "micro_batches": value}})
    for name in ("steps", "rows", "processes"):
        with pytest.raises(Unavailable, match=r"not say how training goes in steps: train\."):
            getattr(project, name)
    assert Project.parse({"train": 5}).adamw is None


@pytest.mark.parametrize(
    "adamw", [{"clip_norm": True}, {"clip_norm": 0}, {"beta2": 1.0}, {"beta2": "x"}, {"beta2": None}]
)
def test_half_an_optimizer_binds_nothing(adamw: dict[str, Any]) -> None:
    assert Project.parse({"train": TRAIN | adamw}).adamw is None


def test_a_module_is_a_file_or_a_package_of_the_source(tmp_path: Path) -> None:
    contract = ReplayContract(module="loom.again")
    assert not contract.is_in(tmp_path)
    (tmp_path / "loom/again").mkdir(parents=True)
    assert not contract.is_in(tmp_path)
    (tmp_path / "loom/again/__main__.py").touch()
    assert contract.is_in(tmp_path)
    assert not ReplayContract(module="loom").is_in(tmp_path)
    (tmp_path / "loom.py").touch()
    assert ReplayContract(module="loom").is_in(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["../a", "-x", "a.b", "a/b", "/a", "", ".", "train.steps", "a\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "output": VALUES, "provenance": VALUES | st.lists(VALUES, max_size=3),
        "replay": VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(ReplayContract.model_fields, VALUES)),
        "repo": VALUES,
    },
)  # fmt: skip


@given(VALUES | st.fixed_dictionaries({"release": SECTIONS | VALUES}, optional={"train": VALUES}))
def test_hostile_settings_are_refused_or_can_be_handed_to_a_command(settings: Any) -> None:
    try:
        project = Project.parse(settings)
    except InputError:
        return
    contract = project.replay
    paths = [project.draft, project.trained, project.lock, *project.provenance, *contract.made, *contract.made.values()]
    for path in paths:
        assert ".." not in PurePosixPath(path).parts and not path.startswith("/") and "\x00" not in path and path
    assert not contract.data.startswith("-")
    assert re.fullmatch(r"[A-Za-z0-9_.]+", contract.module) and not contract.module.startswith(".")
    assert contract.adamw is None or isinstance(contract.adamw, AdamW)
    for name in ("steps", "rows", "processes"):
        try:
            assert getattr(project, name) > 0
        except Unavailable:
            continue
