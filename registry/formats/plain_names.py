"""Names of files that nothing runs, by custom: text for people, tables, vocabularies, and the formats that are known.

Law: trust is positive. What a text is told by is its name alone: the same line is prose in `notes.txt` and a command in
`a.mak`. A name that is not here is not known to be harmless, whichever tool will go by it one day.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from registry.formats.known import CLAIMS

TEXTS = frozenset(
    (
        ".txt", ".md", ".markdown", ".rst", ".csv", ".tsv", ".log", ".yaml", ".yml", ".lock", ".bib", ".cff", ".svg",
        ".jinja", ".jinja2", ".j2", ".ndjson", ".vocab", ".merges", ".bpe", ".tiktoken", ".dict", ".labels", ".names",
        ".license", ".sha256", ".md5", ".asc", ".pub", ".pem", ".srt", ".vtt", ".conllu",
    )
)  # fmt: skip
"""How texts end that people read, or that programs take data from."""
KEPT = frozenset((".gitattributes", ".gitignore", ".gitkeep"))
"""Hidden files that say how a repository keeps others."""
BARE = re.compile(
    r"(licen[cs]e|unlicen[cs]e|copying|copyright|notice|readme|authors|contributors|changelog|changes|history|citation|"
    r"version|vocab|merges|patents|acknowledge?ments|use_policy|model_card)([-_][a-z0-9_-]+)?"
)
"""What texts are called that have no suffix."""


def is_plain(path: str) -> bool:
    """Whether nothing runs the file at `path`, as far as its name tells."""
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    return suffix in TEXTS or suffix in CLAIMS if suffix else name in KEPT or bool(BARE.fullmatch(name))
