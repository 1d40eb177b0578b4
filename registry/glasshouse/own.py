"""Which package called `registry` is Glasshouse's own: others have projects with a package of that name, too.

Law: after `take`, `import registry` gives the one that was installed with this folder; after `insist` that one, or
that of another copy of Glasshouse, such as the clone in which somebody works on it.
"""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

NAME = "registry"


def take() -> None:
    """Import our own, wherever Python would look first: for a process that is ours alone, the command.

    Raises ImportError where it is not installed, or another is imported already.
    """
    place = home() / "__init__.py"
    if NAME not in sys.modules:
        spec = spec_from_file_location(NAME, place, submodule_search_locations=[str(place.parent)])
        assert spec is not None and spec.loader is not None  # it names a file of Python
        module = sys.modules[NAME] = module_from_spec(spec)
        spec.loader.exec_module(module)
    insist()


def insist() -> None:
    """Raise ImportError where Python finds another `registry`, or none: one process can hold one of them."""
    place = home() / "__init__.py"
    spec = getattr(sys.modules.get(NAME), "__spec__", None) or find_spec(NAME)
    found = spec.origin if spec else None
    if found is None or not _is_ours(Path(found).resolve(), place):
        raise ImportError(
            f"glasshouse needs its own package `{NAME}` ({place.parent}), and Python finds another first: "
            f"{found or 'a folder without __init__.py'}. Run `glasshouse` as a command, which is not affected; or "
            f"start Python where that one is not found (see PYTHONPATH, and the folder that Python was started in)"
        )


def _is_ours(found: Path, place: Path) -> bool:
    """Whether the package whose file is `found` is the one at `place`, or says in its first line that it is."""
    return found == place or (found.name == place.name and _first(found) == _first(place))


def _first(place: Path) -> bytes:
    with place.open("rb") as file:
        return file.readline(1000)


def home() -> Path:
    """The folder of our own `registry`: beside this package, or where an editable install points to."""
    site = Path(__file__).resolve().parents[1]
    if (site / NAME / "api.py").is_file():
        return site / NAME
    for pointer in site.glob("*glasshouse.pth"):
        for line in pointer.read_text().splitlines():
            if (Path(line) / NAME / "api.py").is_file():
                return (Path(line) / NAME).resolve()
    raise ImportError(
        "the package `registry` of glasshouse is missing. To mend it: pip install --force-reinstall glasshouse"
    )
