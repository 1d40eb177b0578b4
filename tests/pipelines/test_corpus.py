"""pipelines.corpus: each kind of source, and the corpus that is built from them."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from pipelines import params
from pipelines.corpus import OUT, build, parquet
from pipelines.corpus.columns import documents_of
from pipelines.corpus.installed import InstalledReader
from pipelines.corpus.project import ProjectReader
from pipelines.params import Files, HuggingFace, Installed
from registry.errors import InputError
from registry.records import data_manifest
from registry.records.data_row import Row
from tests.pipelines.small_project import write_project

PACKAGE = {
    "pretend/__init__.py": b"raise SystemExit('a corpus must never import what it reads')\n",
    "pretend/more.py": b"# SPDX-License-Identifier: BSD-3-Clause\nx = 1\n",
    "pretend/notes.md": b"# Notes\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the package `pretend` installed in it, as pip would."""
    site, lines = tmp_path / "site", []
    for name, data in PACKAGE.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    info = site / "pretend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: pretend\nVersion: 1.0\nLicense-Expression: MIT\n")
    (info / "RECORD").write_text(
        "\n".join([*lines, "pretend-1.0.dist-info/RECORD,,", "../outside.py,sha256=AAAA,3", ""])
    )
    monkeypatch.syspath_prepend(site)
    return site


def installed(**changed: Any) -> Installed:
    return Installed(
        **{"kind": "installed", "package": "pretend", "version": "1.0", "include": ("pretend/**/*.py",), **changed}
    )


def test_an_installed_package_gives_what_its_record_declares(site: Path) -> None:
    reader = InstalledReader.open(installed())
    assert reader.source.as_json() == {"id": "pkg:pypi/pretend@1.0", "kind": "installed", "license": "MIT", "url": None,
                                         "status": "exact"}  # fmt: skip
    documents = list(reader.documents(1000))
    assert [document.path for document in documents] == ["pretend/__init__.py", "pretend/more.py"]
    assert [document.data for document in documents] == [PACKAGE[document.path] for document in documents]


def test_a_file_that_its_wheel_does_not_vouch_for_is_an_error(site: Path) -> None:
    reader = InstalledReader.open(installed())
    (site / "pretend/more.py").write_bytes(PACKAGE["pretend/more.py"].replace(b"1", b"2"))
    with pytest.raises(InputError, match=r"pretend/more\.py is sha256:.*its wheel declares") as caught:
        list(reader.documents(1000))
    assert "pip install --force-reinstall" in caught.value.mend
    (site / "pretend/more.py").unlink()
    with pytest.raises(InputError, match="cannot be taken"):
        list(reader.documents(1000))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"package": "no-such-package-anywhere"}, "not installed"),
        ({"version": "1.1"}, r"installed as 1\.0"),
        ({"include": ("*.rst",)}, "no file"),
        ({"include": ("pretend-1.0.dist-info/RECORD",)}, "its wheel declares None"),
        ({"include": ("**",)}, "not allowed"),
    ],
    ids=["absent", "another version", "nothing included", "no digest", "a path that leaves the package"],
)
def test_an_installed_source_that_cannot_be_had(site: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(InstalledReader.open(installed(**changed)).documents(1000))


def files(**changed: Any) -> Files:
    given = {"kind": "files", "name": "x", "include": ("**/*.txt",), "license": "CC0-1.0", "url": "https://example.org"}
    return Files(**{**given, **changed})


def test_files_of_the_project_come_by_path_and_without_the_hidden(tmp_path: Path) -> None:
    for path in ("b.txt", "a/c.txt", "a/d.md", ".git/e.txt", ".f.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    reader = ProjectReader(files(exclude=("z/*",)), tmp_path)
    assert [document.path for document in reader.documents(100)] == ["a/c.txt", "b.txt"]
    assert reader.source.license == "CC0-1.0"


def test_files_that_are_links_or_none_at_all_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        list(ProjectReader(files(), tmp_path).documents(100))
    (tmp_path / "a.txt").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=r"a\.txt .* link"):
        list(ProjectReader(files(), tmp_path).documents(100))
    with pytest.raises(InputError, match="Ours"):
        _ = ProjectReader(files(license="Ours"), tmp_path).source


def hub(**changed: Any) -> HuggingFace:
    given = {"kind": "huggingface", "dataset": "a/b", "commit": "0" * 40, "license": "mit", "splits": ("train",)}
    return HuggingFace(**{**given, **changed})


def test_rows_of_a_data_set_are_documents(tmp_path: Path) -> None:
    table = pa.table({"text": ["one", "zwölf", None], "terms": ["mit", "made up", None]})
    pq.write_table(table, tmp_path / "rows.parquet")
    rows = load_dataset("parquet", data_files=str(tmp_path / "rows.parquet"), split="train", streaming=True)
    stated = list(documents_of(rows, hub(), "train", "a/b"))
    assert [(each.path, each.data, each.license) for each in stated] == [
        ("train/000000000000", b"one", "MIT"),
        ("train/000000000001", "zwölf".encode(), "MIT"),
        ("train/000000000002", b"", "MIT"),
    ]
    by_row = documents_of(rows, hub(license=None, license_column="terms"), "train", "a/b")
    assert [each.license for each in by_row] == ["MIT", "NOASSERTION", "NOASSERTION"]
    for wanted in (hub(text="content"), hub(license=None, license_column="licence")):
        with pytest.raises(InputError, match="terms, text"):
            list(documents_of(rows, wanted, "train", "a/b"))


def test_without_a_network_a_data_set_fails_fast_and_as_unavailable() -> None:
    code = "import sys; from pipelines.corpus.hub import HubReader; from tests.pipelines.test_corpus import hub\n"
    code += "from registry.errors import Unavailable\n"
    code += "try: list(HubReader(hub()).documents(100))\nexcept Unavailable as problem: sys.exit(problem.exit_code)"
    for more in (
        {"HF_HUB_OFFLINE": "1"},
        {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"},
    ):
        assert subprocess.run([sys.executable, "-c", code], env={**os.environ, **more}, timeout=60).returncode == 3


def built(root: Path) -> Path:
    build.write(params.load(root / "params.yaml"), root, root / OUT)
    return root / OUT


def test_a_corpus_holds_every_document_once(tmp_path: Path) -> None:
    root = write_project(tmp_path / "project")
    (root / "texts/again.txt").write_bytes((root / "texts/003.txt").read_bytes())
    (root / "texts/short.txt").write_text("short")
    (root / "texts/broken.txt").write_bytes(b"not UTF-8: \xff")
    out = built(root)
    summary = data_manifest.read_summary(out / data_manifest.SUMMARY)
    data_manifest.verify(summary, out / data_manifest.ROWS)
    assert summary.rows == 43
    assert summary.excluded == {"duplicate": 1, "encoding": 1, "size": 1}
    used = [row for row in data_manifest.iter_rows(out / data_manifest.ROWS) if row.reason is None]
    texts = list(parquet.read(out / parquet.NAME))
    assert [(row.sha256, row.use) for row in used] == [(text.sha256, text.use) for text in texts]
    assert [text.text for text in texts] == [(root / row.path).read_text(encoding="utf-8") for row in used]


def test_the_same_sources_give_the_same_bytes_in_another_place(tmp_path: Path) -> None:
    one, other = built(write_project(tmp_path / "one")), built(write_project(tmp_path / "elsewhere" / "other"))
    for name in (parquet.NAME, data_manifest.ROWS, data_manifest.SUMMARY):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_order_of_sources_in_params_changes_nothing(tmp_path: Path) -> None:
    def project(root: Path, *names: str) -> Path:
        write_project(root)
        said = json.loads((root / "params.yaml").read_text())
        (first,) = said["corpus"]["sources"]
        said["corpus"]["sources"] = [{**first, "name": name, "include": [f"texts/*{name}.txt"]} for name in names]
        (root / "params.yaml").write_text(json.dumps(said))
        return built(root)

    one, other = project(tmp_path / "one", "3", "4", "5"), project(tmp_path / "other", "5", "3", "4")
    assert (one / data_manifest.SUMMARY).read_bytes() == (other / data_manifest.SUMMARY).read_bytes()


def test_a_failed_build_leaves_the_last_good_one(tmp_path: Path) -> None:
    root = write_project(tmp_path / "project")
    before = {path.name: path.read_bytes() for path in built(root).iterdir()}
    (root / "texts/link.txt").symlink_to("/etc/passwd")
    with pytest.raises(InputError):
        built(root)
    assert {path.name: path.read_bytes() for path in (root / OUT).iterdir()} == before
    assert [path.name for path in (root / OUT).parent.iterdir()] == [OUT.name]


def test_a_split_without_documents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no document is left for validation"):
        built(write_project(tmp_path / "project", documents=1))


def test_a_broken_parquet_file_raises_our_error(tmp_path: Path) -> None:
    whole = (built(write_project(tmp_path / "project")) / parquet.NAME).read_bytes()
    path = tmp_path / parquet.NAME
    for data in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2], b"\0" * 200 + whole[200:]):
        path.write_bytes(data)
        with pytest.raises(InputError):
            list(parquet.read(path))
    pq.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(InputError):
        list(parquet.read(path))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return (built(write_project(tmp_path_factory.mktemp("whole") / "project")) / parquet.NAME).read_bytes()


@given(st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_damaged_parquet_file_raises_our_error_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, flips: list[tuple[int, int]]
) -> None:
    damaged, path = bytearray(whole), tmp_path_factory.mktemp("damaged") / parquet.NAME
    for place, flip in flips:
        damaged[place % len(damaged)] ^= flip
    path.write_bytes(damaged)
    try:
        list(parquet.read(path))
    except InputError as error:
        assert error.mend


def test_large_documents_share_no_row_group_and_come_back_whole(tmp_path: Path) -> None:
    row = Row(
        source="files:x", path="a", sha256="0" * 64, size=parquet.GROUP_BYTES, license="MIT", use="train", reason=None
    )
    with parquet.Writer(tmp_path / parquet.NAME) as writer:
        for _ in range(3):
            writer.add(row, b"x" * parquet.GROUP_BYTES)
    assert parquet.groups(tmp_path / parquet.NAME) == 3
    assert [len(text.text) for text in parquet.read(tmp_path / parquet.NAME)] == [parquet.GROUP_BYTES] * 3
