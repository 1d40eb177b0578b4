"""registry.formats.skops_schema: files of skops, as skops writes them, and as nobody should."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops import io as skops

from registry.errors import Refused
from registry.formats.known import Identity, Safety, identify
from registry.formats.protobuf import OtherFormat
from registry.formats.skops_schema import foreign
from registry.formats.skops_types import BY_LOADER
from registry.records.kinds import ModelFolder, recognised
from registry.release import weights

ROWS, LABELS = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2


@cache
def scaled() -> bytes:
    return bytes(skops.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)))


def changed(
    change: Callable[[dict[str, Any]], object] = lambda schema: None, name: str = "", data: bytes = b""
) -> bytes:
    """The same file, with its schema changed, and another member, if there is a `name`."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(scaled())) as before, zipfile.ZipFile(out, "w") as after:
        for row in before.infolist():
            held = before.read(row)
            if row.filename == "schema.json":
                schema = json.loads(held)
                change(schema)
                held = json.dumps(schema).encode()
            after.writestr(row.filename, held)
        if name:
            after.writestr(name, data)
    return out.getvalue()


def looked(tmp_path: Path, data: bytes, name: str = "model.skops") -> Identity:
    (tmp_path / name).write_bytes(data)
    return identify(tmp_path / name)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS),
        SGDClassifier().fit(ROWS, LABELS),
        {"a": np.random.RandomState(0), "b": b"x", "c": slice(1, 2), "d": {1, 2.5}, "e": np.ma.masked_less(ROWS, 0.5)},
        TfidfVectorizer().fit(["a text", "another text"]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_skops_writes_of_types_on_the_list_is_known(tmp_path: Path, model: Any) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = bytes(skops.dumps(model, compression=compression))
        assert looked(tmp_path, data) == Identity(Safety.KNOWN, "skops", weights=True)
        assert skops.get_untrusted_types(data=data) == []


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (FunctionTransformer(os.system), "posix.system"),
        (FunctionTransformer(partial(print, 1)), "functools.partial"),
        (RandomForestClassifier(2).fit(ROWS, LABELS), "sklearn.tree._tree.Tree"),
        ({"path": Path("a")}, "pathlib.PosixPath"),
    ],
    ids=("function", "partial", "tree", "foreign type"),
)
def test_what_is_not_on_the_list_is_named_and_is_not_known(tmp_path: Path, model: Any, named: str) -> None:
    found = looked(tmp_path, bytes(skops.dumps(model)))
    assert found.trust is Safety.UNKNOWN and found.weights and named in found.words


def test_the_list_holds_nothing_that_skops_does_not_trust_by_itself() -> None:
    from skops.io import _trusted_types as trusted
    from skops.io._sklearn import ALLOWED_LOSSES
    from skops.io._utils import get_module

    theirs = {
        *trusted.PRIMITIVE_TYPE_NAMES, *trusted.CONTAINER_TYPE_NAMES, *trusted.NUMPY_DTYPE_TYPE_NAMES,
        *trusted.SKLEARN_ESTIMATOR_TYPE_NAMES, *trusted.SKLEARN_INTERNAL_TYPE_NAMES,
        *(f"{get_module(loss)}.{loss.__name__}" for loss in ALLOWED_LOSSES),
        "builtins.dict", "builtins.slice", "builtins.bytes", "builtins.bytearray", "collections.OrderedDict",
        "numpy.ndarray", "numpy.ma.MaskedArray", "numpy.random.mtrand.RandomState",
    }  # fmt: skip
    assert frozenset().union(*BY_LOADER.values()) <= theirs
    assert len(BY_LOADER["ObjectNode"]) > 200


def test_such_a_model_is_released_as_one_of_scikit_learn_and_one_with_trees_is_not(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(scaled())
    model = ModelFolder.at(tmp_path)
    assert recognised(model).name == "sklearn" and model.weights == {"model.skops"}
    weights.check_all(model, set())
    (tmp_path / "model.skops").write_bytes(skops.dumps(RandomForestClassifier(2).fit(ROWS, LABELS)))
    with pytest.raises(Refused, match=r"sklearn\.tree\._tree\.Tree"):
        weights.check_all(ModelFolder.at(tmp_path), set())


def _deep(schema: dict[str, Any]) -> None:
    schema["content"]["content"]["steps"]["content"].append(
        {"a": [{"__loader__": "FunctionNode", "__module__": "os", "__class__": "system"}]}
    )


def made_as(loader: str, module: str, name: str) -> Callable[[dict[str, Any]], object]:
    return lambda schema: schema.update({"__loader__": loader, "__module__": module, "__class__": name})


@pytest.mark.parametrize(
    "change",
    [
        _deep,
        made_as("MethodNode", "builtins", "str"),
        made_as("OperatorFuncNode", "operator", "methodcaller"),
        made_as("TypeNode", "os", "system"),
        made_as("ObjectNode", "builtins", "dict"),
        made_as("ListNode", "builtins", "exec"),
        made_as("", "", ""),
        lambda schema: schema.pop("__loader__"),
        lambda schema: schema.update(__class__=["x"]),
    ],
)
def test_a_schema_that_names_another_type_or_way_is_not_known(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    found = looked(tmp_path, changed(change))
    assert found.trust is Safety.UNKNOWN and found.words.startswith("names what is not on the list")


def _npy(value: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        changed(name="archive/data.pkl", data=b"x"),
        changed(name="../7.npy", data=b"x"),
        changed(name="7.npy", data=_npy(np.array([{}], dtype=object))),
        changed(name="7.npy", data=b"x"),
        changed(lambda schema: schema.update(protocol=3)),
        changed(lambda schema: schema.update(protocol=True)),
        changed(lambda schema: schema.pop("protocol")),
        b"x" + scaled(),
        scaled() + b"x",
        scaled()[:-1],
        scaled().replace(b"schema.json", b"schema.jsox"),
        b"PK\x03\x04",
        b"",
        b"text",
    ],
)  # fmt: skip
def test_what_is_not_all_of_it_a_file_of_skops_is_not_known(tmp_path: Path, data: bytes) -> None:
    found = looked(tmp_path, data)
    assert found.trust is not Safety.KNOWN and found.weights


def test_under_another_name_it_is_an_archive_and_other_things_under_its_name_are_what_they_are(tmp_path: Path) -> None:
    assert looked(tmp_path, scaled(), "model.bin").trust is Safety.DANGER
    assert looked(tmp_path, b"\x80\x04K\x01.").trust is Safety.DANGER


@given(place=st.integers(0, 1 << 16), byte=st.integers(0, 255), cut=st.integers(0, 1 << 16))
def test_one_byte_changed_or_an_end_cut_off_raises_nothing_else(place: int, byte: int, cut: int) -> None:
    data = bytearray(scaled())
    data[place % len(data)] = byte
    for tried in (bytes(data), bytes(data[: cut % len(data)])):
        try:
            foreign(io.BytesIO(tried), len(tried))
        except OtherFormat:
            continue
