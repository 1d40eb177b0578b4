"""A file of metrics is read as its ending says, within the bounds of JSON, or refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import Malformed
from registry.records import dvc_metrics

FORMS = {
    ".json": '{"test": {"accuracy": 0.75, "rows": [1]}, "good": true}',
    ".yaml": "test: {accuracy: 0.75, rows: [1]}\ngood: true\n",
    ".toml": "good = true\n[test]\naccuracy = 0.75\nrows = [1]\n",
    "": '{"test": {"accuracy": 0.75, "rows": [1]}, "good": true}',
}


@pytest.mark.parametrize("ending", FORMS)
def test_each_form_says_the_same(tmp_path: Path, ending: str) -> None:
    (path := tmp_path / f"m{ending}").write_text(FORMS[ending])
    value = dvc_metrics.read(path, max_bytes=1000)
    assert value == {"test": {"accuracy": 0.75, "rows": [1]}, "good": True}
    assert dict(dvc_metrics.leaves(value)) == {"test.accuracy": 0.75, "test.rows": [1], "good": True}
    assert dvc_metrics.numbers(value) == {"test.accuracy": 0.75}


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".yaml", f"a: {9**400}"), (".toml", f"a = {9**400}"), (".toml", f"a = 0x{'f' * 5000}"),
        (".toml", f"[{'a.' * 5000}a]\nb = 1\n"), (".toml", f"a = {'[' * 5000}"), (".yaml", f"a: {'[' * 5000}"),
        (".json", f'{{"a": {9**400}}}'), (".toml", "a"), (".yaml", "a: [" ), (".yml", "a: &b 1\nc: *b\n"),
        (".json", "x" * 2_000), (".toml", "\udcff"),
    ],
)  # fmt: skip
def test_what_is_beyond_the_bounds_is_refused(tmp_path: Path, ending: str, text: str) -> None:
    (path := tmp_path / f"m{ending}").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Malformed):
        dvc_metrics.read(path, max_bytes=1_000 if ending == ".json" else 100_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(list(FORMS)))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, ending: str) -> None:
    (path := tmp_path / f"m{ending}").write_bytes(data)
    with suppress(Malformed):
        dvc_metrics.numbers(dvc_metrics.read(path, max_bytes=1000))
