"""The draft of a release: everything that the project's records decide, nothing that a version or a commit does.

A stage of the project can write it (`glasshouse release prepare --draft`), so that the bytes that get signed are an
output that DVC tracks. Where none does, it is made when a release is prepared, from what the stages wrote.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from registry.errors import InputError
from registry.files import directory_beside, write_atomic
from registry.manifest import walk
from registry.openness import figures_shown
from registry.project import dvc_links
from registry.records import layout
from registry.records.kinds import ModelFolder
from registry.release import card, found, weights
from registry.release import scope as scopes
from registry.release.config import ReleaseConfig
from registry.release.kinds import doors
from registry.release.scope import Scope
from registry.suffixes import PARQUET, SAFETENSORS

OURS = ".dvc/tmp/glasshouse/draft"
"""Where a draft is made that no stage writes: it never leaves the working copy."""


def write(root: Path, config: ReleaseConfig) -> Path:
    """Write the draft of the project at `root` to `config.output`, whole or not at all, and return its path.

    Raises Refused for weights in a form that can run code, and for a model that its loader would not load whole;
    InputError for a record that is missing or malformed, and for two files that would stand at one place.
    """
    return _write(root, config, root / config.output, scopes.of(root, config))


def made(root: Path, config: ReleaseConfig, scope: Scope) -> Path:
    """The draft of the project at `root`: where a stage wrote it, or written now, as `write` does."""
    if scope.index.maker(config.output):
        if not (root / config.output).is_dir():
            raise InputError(f"there is no draft at {config.output}", mend="dvc repro")
        return dvc_links.plain_folder(root, root / config.output)
    return _write(root, config, root / OURS / config.name, scope)


def sources(root: Path, config: ReleaseConfig, scope: Scope) -> dict[str, Path]:
    """Where each file of the draft comes from: its place in a release, and the file of the project at `root`.

    Those of a draft that a stage writes are its own files. Raises InputError as `made` does.
    """
    if scope.index.maker(config.output):
        return {path: root / config.output / path for path, _ in walk(made(root, config, scope))}
    model, folder = model_at(root, config), root / config.model
    return _placed(root, config, ModelFolder(folder if folder.is_dir() else model.root, model.paths), scope)


def _write(root: Path, config: ReleaseConfig, output: Path, scope: Scope) -> Path:
    with directory_beside(output) as draft:
        places = _places(root, config, scope)
        found.check(places)
        for place, source_path in places.items():
            _copy(dvc_links.plain(root, source_path), draft / place)
        write_atomic(draft / layout.GIT_ATTRIBUTES, git_attributes(draft))
        for name, told in figures_shown.files(draft, config.datasets).items():
            write_atomic(draft / layout.RESULTS / name, told)
        card.write(root, config, draft, version=None)
    return output


def _places(root: Path, config: ReleaseConfig, scope: Scope) -> dict[str, Path]:
    """Where each file stands in the draft, and where it comes from: the model at the root, the records below."""
    model = model_at(root, config)
    weights.check_all(model, {row.path for row in config.declared})
    doors.check(model, doors.kind_of(model, config.kind))
    if ours := sorted(path for path in model.paths if path.split("/")[0] in layout.FOLDERS):
        raise InputError(f"the model has {ours[0]}, where a release has its own records", mend="call it otherwise")
    return _placed(root, config, model, scope)


def _placed(root: Path, config: ReleaseConfig, model: ModelFolder, scope: Scope) -> dict[str, Path]:
    places = {path: model.root / path for path in model.paths if path != layout.CARD}
    if config.provenance is None:
        places |= found.records(root, scope.index, config.model)
    for source in config.provenance or ():
        place = f"{layout.PROVENANCE}/{Path(source).name}"
        if place in places or place in layout.DOCUMENTS:
            raise InputError(f"two records would stand at {place}", mend="give them different names in params.yaml")
        places[place] = root / source
    if not any(name in places for name in layout.LICENCE_FILES) and (licence := licence_text(root)):
        places[licence.name] = licence
    return places


def model_at(root: Path, config: ReleaseConfig) -> ModelFolder:
    """The files of the model that the project at `root` releases. Raises InputError where there are none."""
    place = root / config.model
    if place.is_file():
        dvc_links.plain(root, place)
        return ModelFolder(place.parent, (place.name,))
    if not place.is_dir():
        raise InputError(
            f"there is no model at {config.model}", mend="dvc repro, or dvc pull; or name another: `model` of `release`"
        )
    return ModelFolder.at(dvc_links.plain_folder(root, place))


def licence_text(root: Path) -> Path | None:
    """The text of the licence: of the project at `root`, else of the git repository that it lies in."""
    for folder in (root, *root.resolve().parents):
        for name in layout.LICENCE_FILES:
            if (folder / name).is_file():
                return folder / name
        if (folder / ".git").exists():
            break
    return None


def git_attributes(draft: Path) -> bytes:
    """What git keeps as large files: weights, tables and pictures by how their names end, any other one by its path.

    A Hub adds a line for a large file that none speaks of; then the bytes would not be those that were signed.
    """
    usual = (SAFETENSORS, PARQUET, ".png")
    endings = (*usual, *sorted({Path(path).suffix for path in ModelFolder.at(draft).weights} - {*usual, ""}))
    files = sorted(path for path in draft.rglob("*") if path.is_file() and not path.name.endswith(endings))
    others = [path.relative_to(draft).as_posix() for path in files if _is_kept_large(path)]
    return layout.large_files(endings) + "".join(map(layout.large_file, others)).encode()


def _is_kept_large(path: Path) -> bool:
    with path.open("rb") as stream:
        return layout.is_kept_large(path.name, path.stat().st_size, stream.read(512))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
