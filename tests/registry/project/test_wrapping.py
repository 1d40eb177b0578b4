"""`glasshouse record` around the commands of a dvc.yaml: only there, and all else byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry.project.wrapping import RECORD, after_record, is_one_program, wrap

EVERY = """# the pipeline
vars: [settings.yaml]
stages:
  one:  # trains
    cmd: python train.py --rate 0.1   # slow
    deps:
    - train.py
    outs:
      # the model
      - model.onnx:
          cache: true
  quoted:
    cmd: "python 'a b.py'"
    outs: [q]
  shell:
    desc: both
    cmd: python a.py && python b.py > log.txt
    outs: [c.txt]
  list:
    cmd:
      - python a.py
      - python b.py
    outs: [d]
  flow:
    cmd: [python a.py, python b.py]
    outs: []
    metrics: [e.json]
  text:
    cmd: |
      python a.py
      cd x; python b.py
    outs: [f]
  bare:
    cmd: python g.py
    metrics:
      - g.json
  each:
    foreach: [small, large]
    do:
      cmd: python train.py ${item}
      outs: ['h-${item}']
  grid:
    matrix: {size: [a, b], rate: [1, 2]}
    cmd: python train.py ${item.size} ${item.rate}
    outs: ['i-${item.size}-${item.rate}']
"""


def test_each_way_to_write_a_command_is_recorded() -> None:
    done = wrap(EVERY)
    stages = yaml.safe_load(done.text)["stages"]
    assert not done.left and set(done.stages) == stages.keys()
    assert stages["one"]["cmd"] == f"{RECORD} -- python train.py --rate 0.1"
    assert stages["one"]["outs"] == [".glasshouse/one.run.json", {"model.onnx": {"cache": True}}]
    assert stages["quoted"]["cmd"] == f"{RECORD} -- python 'a b.py'"
    both = "python a.py && python b.py > log.txt"
    assert stages["shell"]["cmd"] == [f"{RECORD} --begin", both, f"{RECORD} --end"]
    for name in ("list", "flow"):
        assert stages[name]["cmd"] == [f"{RECORD} --begin", "python a.py", "python b.py", f"{RECORD} --end"]
    assert stages["text"]["cmd"] == f"{RECORD} --begin\npython a.py\ncd x; python b.py\n{RECORD} --end\n"
    assert stages["bare"]["outs"] == [".glasshouse/bare.run.json"]
    assert stages["each"]["do"]["outs"][0] == ".glasshouse/each@${item}.run.json"
    assert stages["grid"]["outs"][0] == ".glasshouse/grid@${item.size}-${item.rate}.run.json"
    kept = [line for line in EVERY.splitlines() if "#" in line and "cmd" not in line]
    assert all(line in done.text.splitlines() for line in kept) and "   # slow" in done.text
    assert wrap(done.text).text == done.text and wrap(done.text).stages == ()


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("{cmd: python a.py, outs: [a], frozen: true}", "frozen"),
        ("{foreach: '${x}', do: {cmd: python a.py, outs: [a]}}", "not told here"),
        ("{cmd: {a: b}, outs: [a]}", "not text"),
        ("{cmd: python a.py, outs: {a: b}}", "not a list"),
        ("{deps: [a]}", "no command"),
    ],
)
def test_what_cannot_be_recorded_is_left_and_told(stage: str, words: str) -> None:
    text = f"stages:\n  s: {stage}\n"
    done = wrap(text)
    assert done.text == text and done.stages == () and words in done.left[0]


def test_a_stage_that_an_alias_makes_is_left() -> None:
    text = "stages:\n  a: &a\n    cmd: python a.py\n    outs: [a]\n  b:\n    <<: *a\n    outs: [b]\n"
    done = wrap(text)
    assert "b" not in done.stages and yaml.safe_load(done.text)["stages"]["b"]["outs"] == ["b"]


@pytest.mark.parametrize(
    ("command", "one"),
    [
        ("python a.py", True),
        ("python a.py --x 'a && b'", True),
        ("python ${script} --out x", True),
        ("a && b", False),
        ("a;b", False),
        ("a | b", False),
        ("a > b", False),
        ("X=1 a", False),
        ("cd a", False),
        ("a `b`", False),
        ("a 'b", False),
        ("", False),
    ],
)
def test_one_program_is_told_from_a_line_for_the_shell(command: str, one: bool) -> None:
    assert is_one_program(command) is one


NAMES = st.text(st.sampled_from("abc_"), min_size=1, max_size=5)
COMMANDS = st.one_of(
    st.sampled_from(["python a.py", "a && b", "x: y", "a # b", "'q' z", '"q" > z']),
    st.lists(st.sampled_from(["python a.py", "b | c", "- d"]), min_size=1, max_size=3),
)
STAGE = st.fixed_dictionaries(
    {"cmd": COMMANDS}, optional={"outs": st.lists(NAMES, unique=True), "deps": st.lists(NAMES)}
)


@given(st.dictionaries(NAMES, STAGE, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, True, False]))
def test_whatever_the_text_it_reads_as_before_but_for_what_is_recorded(
    stages: dict[str, Any], sort: bool, flow: bool | None
) -> None:
    text = yaml.safe_dump({"stages": stages}, sort_keys=sort, default_flow_style=flow)
    done = wrap(text)
    after = yaml.safe_load(done.text)["stages"]
    assert len(done.stages) + len(done.left) == len(stages)
    for name, stage in stages.items():
        if name in done.stages:
            rest = [out for out in after[name]["outs"] if not out.endswith(".run.json")]
            assert rest == stage.get("outs", []) and RECORD in str(after[name]["cmd"])
        else:
            assert after[name] == stage


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("glasshouse record -- a && b", "&&"),
        ("python -m registry record --discard -- a; b", ";"),
        ("glasshouse record -- a | b", "|"),
        ("cd x && glasshouse record -- a", None),
        ("glasshouse record -- a > b", None),
        ("glasshouse record -- a 'b && c'", None),
        ("a && b", None),
        ("glasshouse record -- 'a", None),
    ],
)
def test_what_follows_a_recorded_program_is_seen(command: str, sign: str | None) -> None:
    assert after_record(command) == sign
