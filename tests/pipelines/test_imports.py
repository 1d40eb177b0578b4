"""pipelines.imports: every file that a program imports, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import imports
from registry.errors import InputError
from registry.files import write_atomic

FILES = {
    "pipelines/__init__.py": "",
    "pipelines/start.py": """
from __future__ import annotations
import json
from typing import TYPE_CHECKING
from pipelines import near as nearby
import registry.far.deep
if TYPE_CHECKING:
    from pipelines import typed
else:
    from pipelines import untyped
def later():
    try:
        from pipelines.lazy import thing, other
    except ImportError:
        import numpy.linalg
""",
    "pipelines/near.py": "from pipelines.start import later\nfrom pipelines.nowhere import name",
    "pipelines/lazy.py": "from pipelines.stage import run",
    "pipelines/stage.py": "from pipelines import hidden",
    "pipelines/typed.py": "",
    "pipelines/untyped.py": "",
    "pipelines/hidden.py": "",
    "pipelines/unused.py": "",
    "pipelines/spaced/module.py": "",
    "registry/__init__.py": "",
    "registry/far/__init__.py": "from registry import ground",
    "registry/far/deep.py": "import pipelines.spaced.module",
    "registry/far/other.py": "",
    "registry/far/templates/page.md.j2": "",
    "registry/far/templates/de/page.md.j2": "",
    "registry/far/__pycache__/deep.pyc": "",
    "registry/far/.cache/note": "",
    "registry/ground.py": "",
    "registry/ground/page.md.j2": "",
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path, text in FILES.items():
        write_atomic(tmp_path / path, text.encode())
    monkeypatch.setattr(imports, "_folder", lambda package: tmp_path / package)
    return tmp_path


def test_all_that_is_imported_counts_wherever_the_import_stands(source: Path) -> None:
    found = imports.code(["pipelines.start", "pipelines.nowhere"])
    assert list(found) == [
        "pipelines/__init__.py",
        "pipelines/lazy.py",
        "pipelines/near.py",
        "pipelines/spaced/module.py",
        "pipelines/start.py",
        "pipelines/untyped.py",
        "registry/far/__init__.py",
        "registry/far/deep.py",
        "registry/far/templates/de/page.md.j2",
        "registry/far/templates/page.md.j2",
        "registry/ground.py",
    ]
    assert all(file == source / path for path, file in found.items())


def test_a_relative_import_is_refused(source: Path) -> None:
    (source / "pipelines/unused.py").write_text("from . import near")
    with pytest.raises(InputError, match=r"unused\.py has a relative import"):
        imports.code(["pipelines.unused"])


def test_what_is_declared_inert_is_there() -> None:
    root = Path(imports.__file__).parents[1]
    for path, reason in imports.INERT.items():
        assert (root / path).is_dir() if path.endswith("/") else (root / path).is_file(), path
        assert reason
