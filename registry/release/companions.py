"""What is published beside a model: the data it was trained on, the weights in another form.

Each is laid out beside the prepared release, and the signed record names it by a digest over all of its files. It is
announced by that record alone: there is no release, and so no companion of one, before the release's own tag.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from registry import canonical, suffixes
from registry.digest import Progress, sha256_bytes, sha256_file
from registry.errors import DigestMismatch, InputError, Refused
from registry.files import directory_beside, write_atomic
from registry.hub import licence_names, metadata
from registry.hub.reference import DATASETS
from registry.manifest import Entry, Manifest, walk
from registry.openness.cards import data_set, gguf_card
from registry.openness.cards.data_set import DataSet
from registry.openness.cards.gguf_card import Gguf
from registry.project import dvc_links
from registry.records import data_manifest, layout
from registry.records.release_record import Companion, ReleaseRecord, SourceCode
from registry.release import gguf_file, gguf_source, weights
from registry.release.config import DataCompanion, FolderCompanion, GgufCompanion, ReleaseConfig
from registry.release.gguf_file import Label

CROISSANT = layout.CROISSANT.rpartition("/")[2]
BESIDE = (layout.LICENSE, gguf_source.TOKENIZER, "tokenizer_config.json")
"""Files of the release that stand beside a GGUF file too: `transformers` reads text by them, exactly."""
GGUF_ATTRIBUTES = layout.large_files((suffixes.GGUF,))


@dataclass(frozen=True, slots=True)
class Made:
    """A file too large to be kept in memory: `make` writes it, the same bytes each time."""

    make: Callable[[Path], None]
    """Writes the file to a path."""
    size: int
    """How many bytes it has."""
    sha256: str
    """SHA-256 of its bytes."""

    @classmethod
    def once(cls, make: Callable[[Path], None]) -> Made:
        """Measured on a copy that is thrown away."""
        with tempfile.TemporaryDirectory(prefix="glasshouse-") as scratch:
            path = Path(scratch) / "made"
            make(path)
            return cls(make, path.stat().st_size, sha256_file(path))

    def write(self, path: Path) -> None:
        """Write it. Raises DigestMismatch for other bytes than before: what it is made from has changed."""
        self.make(path)
        if (found := sha256_file(path)) != self.sha256:
            raise DigestMismatch(path.name, signed=self.sha256, found=found)


Source = Path | bytes | Made


@dataclass(frozen=True)
class PlannedCompanion:
    """What will stand in one repository."""

    repo: str
    """Where it is to be published."""
    files: Mapping[str, Source]
    """By their paths there: a file of this machine, bytes, or how the file is made."""

    @cached_property
    def manifest(self) -> Manifest:
        """Its files, hashed."""
        return Manifest(tuple(_entry(path, source) for path, source in self.files.items()))

    @property
    def record(self) -> Companion:
        """What the release says of it."""
        found = self.manifest
        return Companion(repo=self.repo, content=found.sha256, files=len(found.entries), size=found.size)

    def write(self, folder: Path) -> None:
        """Lay it out at `folder`, whole or not at all."""
        with directory_beside(folder) as beside:
            for path, source in self.files.items():
                (beside / path).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(source, bytes):
                    write_atomic(beside / path, source)
                elif isinstance(source, Path):
                    shutil.copyfile(source, beside / path)
                else:
                    source.write(beside / path)
            metadata.check(beside)


def place(release: Path, repo: str) -> Path:
    """Where the companion in `repo` of the release in the folder `release` is laid out."""
    return release.with_name(f"companions-{release.name}") / repo.replace("/", "--")


def planned(
    root: Path, config: ReleaseConfig, version: str, source: SourceCode, draft: Path | None = None
) -> tuple[PlannedCompanion, ...]:
    """The companions that the `release` section asks for, of a release of `version` made at the commit `source`.

    draft: the draft of that release; None: where a stage writes it.

    Raises InputError for a folder that is not there, a card that does not say what it belongs to, or a model that GGUF
    cannot say; Refused for weights in any form that can run code.
    """

    draft = draft or root / config.output

    def one(asked: DataCompanion | GgufCompanion | FolderCompanion) -> PlannedCompanion:
        match asked:
            case DataCompanion():
                return _data(root, draft, config, asked, version, source.committed_at)
            case GgufCompanion():
                return _gguf(draft, config, asked, version, source.commit)
            case FolderCompanion():
                return _folder(root, config, asked)

    return tuple(one(asked) for asked in config.companions)


def laid_out(release: Path, record: ReleaseRecord, progress: Progress | None) -> Iterator[tuple[str, Path, Manifest]]:
    """(repository, folder, its files) of each companion that the record names.

    Raises InputError for one that is not there, DigestMismatch for other bytes than the record says.
    """
    for companion in record.companions:
        folder = place(release, companion.repo)
        if not folder.is_dir():
            raise InputError(
                f"{companion.repo} belongs to the release, and is not at {folder}",
                mend="keep the folder beside the release's, or prepare and sign the release anew",
            )
        manifest = Manifest.of_directory(folder, progress)
        if manifest.sha256 != companion.content:
            raise DigestMismatch(str(folder), signed=companion.content, found=manifest.sha256)
        yield companion.repo, folder, manifest


def _data(
    root: Path, draft: Path, config: ReleaseConfig, asked: DataCompanion, version: str, published: str
) -> PlannedCompanion:
    """The texts and their manifest, with a card and Croissant made from them."""
    records = draft / layout.PROVENANCE
    rows = layout.data_rows([path for path in (layout.DATA_ROWS, layout.DATA_TABLE) if (draft / path).is_file()])
    name = rows.removeprefix(f"{layout.PROVENANCE}/")
    files: dict[str, Source] = {
        data_manifest.DOCUMENTS: dvc_links.plain(root, root / asked.documents),
        name: draft / rows,
        data_manifest.SUMMARY: records / data_manifest.SUMMARY,
    }
    for path, source in files.items():
        if isinstance(source, Path) and (source.is_symlink() or not source.is_file()):
            raise InputError(
                f"{source} is missing, or is not a plain file", mend=f"{path} is needed: run `dvc repro` first"
            )
    summary = data_manifest.read_summary(records / data_manifest.SUMMARY)
    data = DataSet(
        name=asked.repo.removeprefix(DATASETS),
        about=config.about,
        version=version,
        published=published,
        summary=summary,
        files=tuple(_entry(path, source) for path, source in files.items()),
        rai=config.rai,
    )
    licences = sorted(summary.licenses)
    licence = licence_names.fields(licences[0]) if len(licences) == 1 else _MIXED | {"license_link": name}
    made = {
        layout.CARD: data_set.card(data, licence).encode(),
        CROISSANT: canonical.dumps(data_set.for_machines(data)),
    }
    return PlannedCompanion(asked.repo, files | made)


_MIXED = {"license": "other", "license_name": "each-its-own"}


def _gguf(draft: Path, config: ReleaseConfig, asked: GgufCompanion, version: str, commit: str) -> PlannedCompanion:
    """The draft's weights in each of the types, with a card, and the tokenizer as the release has it."""
    licence = config.licence
    label = Label(config.heading, licence["license"], f"hf://{config.repo}", asked.pre_tokenizer)
    made = {
        f"{config.name}-{kind}{suffixes.GGUF}": Made.once(partial(gguf_file.write, draft, kind=kind, label=label))
        for kind in asked.types
    }
    card = gguf_card.render(
        Gguf(
            repo=asked.repo,
            about=config.about,
            version=version,
            commit=commit,
            weights=tuple(_entry(path.name, path) for path in sorted(draft.glob(f"*{suffixes.SAFETENSORS}"))),
            files=tuple(_entry(path, source) for path, source in made.items()),
            words=gguf_source.vocabulary(draft, gguf_source.Llama.read(draft).vocab_size).words,
            pre_tokenizer=asked.pre_tokenizer,
        )
    )
    beside = {name: draft / name for name in BESIDE if (draft / name).is_file()}
    return PlannedCompanion(
        asked.repo, made | beside | {layout.CARD: card.encode(), layout.GIT_ATTRIBUTES: GGUF_ATTRIBUTES}
    )


def _folder(root: Path, config: ReleaseConfig, asked: FolderCompanion) -> PlannedCompanion:
    """A folder as it is; a model's card has to say which model it was made from."""
    folder = dvc_links.plain_folder(root, root / asked.folder)
    paths = [path for path, _ in walk(folder)]
    for path in paths:
        weights.check_harmless(folder / path)
    if layout.CARD not in paths:
        raise InputError(f"{asked.folder} has no {layout.CARD}", mend=f"write one, with `base_model: {config.repo}`")
    card = metadata.check_card((folder / layout.CARD).read_bytes())
    base = [card.base_model] if isinstance(card.base_model, str) else card.base_model or []
    if not asked.repo.startswith(DATASETS) and config.repo not in base:
        raise Refused(
            f"the card in {asked.folder} does not name {config.repo} as what it was made from",
            mend=f"write `base_model: {config.repo}` into it, and for GGUF `base_model_relation: quantized`",
        )
    return PlannedCompanion(asked.repo, {path: folder / path for path in paths})


def _entry(path: str, source: Source) -> Entry:
    if isinstance(source, bytes):
        return Entry(path, len(source), sha256_bytes(source))
    if isinstance(source, Made):
        return Entry(path, source.size, source.sha256)
    return Entry(path, source.stat().st_size, sha256_file(source))
