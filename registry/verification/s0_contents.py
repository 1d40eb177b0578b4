"""Step 0, second half: what kind of files are these, and do they bring code? Each is looked at by what it holds.

    known format that cannot run code     counted
    a danger (a pickle, an archive ...)   FAIL
    of no format that is known            FAIL for weights, else UNKNOWN; the release record can say why it is there
    code                                  UNKNOWN, or, where the release record says why it is there, told and no more
    code that runs by itself              FAIL
    known, by a name that is not          UNKNOWN, or told, as code: texts are run by what they are called

A directory that is not a release of ours, signed with model_signing alone, declares nothing: weights of an unknown
format are UNKNOWN there. None of it ends the verification: bytes and signatures are compared all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from registry import suffixes
from registry.errors import GlasshouseError
from registry.files import readable
from registry.formats import carried_code
from registry.formats.known import Safety, identify
from registry.formats.plain_names import is_plain
from registry.records import layout
from registry.records.kinds import external
from registry.records.release_record import ReleaseRecord
from registry.report import Verdict

RECORDS = (".json", ".yaml", ".yml", ".toml", ".lock", ".svg", ".html")
"""How the names end of files that say how a release was made."""
OURS = frozenset(
    (
        layout.RECORD, layout.STAGES, layout.ENVIRONMENT, layout.DATA_SUMMARY, layout.TOKENS, layout.SEARCH,
        layout.CHECKPOINTS, layout.EVALUATION, layout.HARNESS, layout.BASE, layout.OPENNESS, *layout.DOCUMENTS,
    )
)  # fmt: skip
"""Records in formats of ours, and the documents that are rendered from them."""


def amiss(root: Path, paths: list[str]) -> Iterator[tuple[str, Verdict, str]]:
    """(path, verdict, why) of each file below `root` that is not known to be harmless.

    paths: every file, each a plain one (`s0_bounds.check`). Raises InputError for a file that cannot be read.
    """
    bare = layout.RECORD not in paths
    reasons = {} if bare else _declared(root)
    identities = {path: identify(root / path) for path in paths}
    tensors = {there for path, found in identities.items() for there, _ in external(path, found)}
    for path, found in identities.items():
        match found.trust:
            case Safety.DANGER:
                yield path, Verdict.FAIL, found.words
            case Safety.UNKNOWN if path in tensors:
                pass  # the bare numbers of tensors, whose layout the model beside them tells
            case Safety.UNKNOWN:
                verdict = Verdict.FAIL if found.weights and not bare else Verdict.UNKNOWN
                yield path, verdict, f"{found.words}; {_said(path, reasons)}"
            case Safety.KNOWN:
                for there, name in external(path, found):
                    if there not in identities:
                        words = f"it takes tensors from {name[:200]!r}, which is not a file of this release"
                        yield path, Verdict.FAIL, words
    records = frozenset(path for path in paths if not bare and _is_record(path))
    ours = frozenset(path for path in paths if not bare and _is_ours(path))
    with readable(root):
        carried = list(carried_code.carried(root, [path for path in paths if path not in ours], records))
    for item in carried:
        verdict = Verdict.FAIL if item.refused else Verdict.PASS if item.path in reasons else Verdict.UNKNOWN
        yield item.path, verdict, f"this release carries code: {item.words}; {_said(item.path, reasons)}"
    told = records.union(ours, (item.path for item in carried))
    for path, found in identities.items():
        if path not in told and found.trust is Safety.KNOWN and not found.weights and not is_plain(path):
            verdict = Verdict.PASS if path in reasons else Verdict.UNKNOWN
            words = f"{found.words}, by a name that is not known: some program may run what it says"
            yield path, verdict, f"{words}; {_said(path, reasons)}"


def _is_ours(path: str) -> bool:
    """Whether the file at `path` is a record in a format of ours, which later steps read by its schema."""
    bundle = path.startswith(f"{layout.ATTESTATIONS}/") and path.endswith(suffixes.BUNDLE)
    return bundle or path in OURS or path.startswith(f"{layout.LISTINGS}/")


def _is_record(path: str) -> bool:
    """Whether the file at `path` says how a release was made, and has no name by which a loader finds settings."""
    folder, name = path.split("/")[0], path.rpartition("/")[2].lower()
    return (
        folder in layout.FOLDERS
        and (name.endswith(RECORDS) or name in layout.PACKAGE_LOCKS)
        and name not in carried_code.CONFIGS
    )


def _said(path: str, reasons: Mapping[str, str]) -> str:
    return f"declared: {reasons[path]}" if path in reasons else "the release record does not say why it is there"


def _declared(root: Path) -> Mapping[str, str]:
    """Path -> why it is there, as the release record says; whether that is signed, later steps tell."""
    try:
        return {row.path: row.why for row in ReleaseRecord.read(root / layout.RECORD).declared}
    except GlasshouseError:
        return {}
