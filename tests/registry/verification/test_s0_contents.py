"""Step 0, contents: what is told of each file of a release that is not known to be harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.records.release_record import Declared
from registry.report import Verdict
from registry.verification import s0_bounds, s0_contents
from registry.verification.tree import Tree
from tests import synthetic_release

CHAT = """\
{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'].strip() }}{% if loop.last %}{% break %}{% endif %}
{%- endfor %}{%- generation -%}{{ eos_token | upper }}{% endgeneration %}{{ tools | tojson }}{{ x | map('upper') }}
"""


def amiss(root: Path) -> list[tuple[str, Verdict, str]]:
    return list(s0_contents.amiss(root, [path for path, _ in s0_bounds.check(Tree(root))]))


def test_a_plain_release_holds_nothing_to_tell_of(tmp_path: Path) -> None:
    synthetic_release.write(tmp_path, extra={"chat_template.jinja": CHAT.encode(), "vocab.txt": b"cat\ndog\n"})
    assert amiss(tmp_path) == []


def test_code_that_is_declared_is_told_with_the_reason_and_passes(tmp_path: Path) -> None:
    why = "the architecture is not in transformers yet"
    config = json.dumps({"auto_map": {"AutoModel": "modeling_x.X"}}).encode()
    declared = (Declared(path="modeling_x.py", why=why), Declared(path="config.json", why=why))
    synthetic_release.write(tmp_path, extra={"modeling_x.py": b"x = 1\n", "config.json": config}, declared=declared)
    found = {path: (verdict, words) for path, verdict, words in amiss(tmp_path)}
    assert found.keys() == {"modeling_x.py", "config.json"}
    assert all(verdict is Verdict.PASS and words.endswith(f"declared: {why}") for verdict, words in found.values())


def test_settings_among_the_records_are_looked_at_whatever_they_are_called(tmp_path: Path) -> None:
    """A loader can be led to any of them; but the settings of another program say where it took weights from."""
    config = json.dumps({"auto_map": {"AutoModel": "org/x--modeling_x.X"}}).encode()
    names = ("attestations/x.json", "provenance/config.4.0.0.json", "provenance/metrics/a.json", "provenance/x.json")
    own = {"provenance/training.json": b'{"model_name_or_path": "org/base"}', "provenance/plots/a.html": b"<script>"}
    synthetic_release.write(tmp_path, extra={**dict.fromkeys(names, config), **own})
    assert [(path, verdict) for path, verdict, _ in amiss(tmp_path)] == [(name, Verdict.UNKNOWN) for name in names]


@pytest.mark.parametrize(
    "name",
    ["Makefile.am", "a.mak", "run.ksh", "x.command", "fabfile", "BUILD", "MLmodel", "config.cfg", "a.xml", "a.pmml",
     "conf.toml", "a.service", "a.applescript", "notes.txt.gdb", "LICENSE.ahk", "a.webloc", "vectors.vec"],
)  # fmt: skip
def test_a_text_is_not_known_to_be_harmless_by_a_name_that_nobody_knows(tmp_path: Path, name: str) -> None:
    synthetic_release.write(tmp_path, extra={name: b"x\n"})
    ((path, verdict, words),) = amiss(tmp_path)
    assert (path, verdict) == (name, Verdict.UNKNOWN) and "a name that is not known" in words
    synthetic_release.write(tmp_path, declared=(Declared(path=name, why="it has to be"),))
    assert [verdict for _, verdict, _ in amiss(tmp_path)] == [Verdict.PASS]


@pytest.mark.parametrize(
    "name", ["NOTICE", "LICENSE-MIT", "USE_POLICY.md", "a.csv", "vocab", "sub/readme", "CITATION.cff", "merges.txt"]
)
def test_a_text_that_people_read_is(tmp_path: Path, name: str) -> None:
    synthetic_release.write(tmp_path, extra={name: b"x\n"})
    assert amiss(tmp_path) == []


def test_a_declaration_saves_no_danger_and_no_code_that_runs_by_itself(tmp_path: Path) -> None:
    files = {"sitecustomize.py": b"x = 1\n", "weights.dat": b"\x80\x04N.", "a.bin": b"\x00\x01"}
    declared = tuple(Declared(path=path, why="trust me") for path in files)
    synthetic_release.write(tmp_path, extra=files, declared=declared)
    assert {path: verdict for path, verdict, _ in amiss(tmp_path)} == dict.fromkeys(files, Verdict.FAIL)


def test_the_weights_of_a_directory_that_is_no_release_of_ours_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(range(200)))
    ((path, verdict, words),) = amiss(tmp_path)
    assert (path, verdict) == ("model.bin", Verdict.UNKNOWN) and "no format known" in words


@pytest.mark.parametrize("location", ["/etc/passwd", "../outside", "a/../../b", "C:\\x", "missing.bin", ""])
def test_a_model_that_takes_tensors_from_elsewhere_fails(tmp_path: Path, location: str) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx(location))
    assert [(path, verdict) for path, verdict, _ in amiss(tmp_path)] == [("model.onnx", Verdict.FAIL)]


@pytest.mark.parametrize("location", ["weights.bin", "./weights.bin", "sub/w.bin"])
def test_the_tensors_beside_a_model_are_its_own(tmp_path: Path, location: str) -> None:
    (tmp_path / "onnx/sub").mkdir(parents=True)
    (tmp_path / "onnx/model.onnx").write_bytes(onnx(location))
    (tmp_path / "onnx" / location).write_bytes(bytes(range(200)))
    assert amiss(tmp_path) == []


def onnx(location: str) -> bytes:
    """A ModelProto whose one initializer stands at `location`."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    entry = field(1, b"location") + field(2, location.encode())
    tensor = b"\x08\x02\x10\x01" + field(13, entry) + b"\x70\x01"
    return b"\x08\x08" + field(7, field(2, b"graph") + field(5, tensor))
