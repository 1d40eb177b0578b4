"""Which file an address becomes, and how one file leads to another.

Law: two addresses that show different things have two files; `~` stands in no name of a repository, so what is made
with it meets none. A link is relative, and names a file, so it works below any address, and from a disk.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from urllib.parse import parse_qsl, unquote, urlencode

SAID_ANYWAY = {"page": "1", "sort": "new"}
"""Parts of a query that change nothing."""
MAX_VALUE = 60
"""Characters of a part of a query that a file is named by; a longer one is named by its digest."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|^\.|(?<=^index)\.")


def settled(address: str) -> str:
    """The same address without what changes nothing, the parts of its query in order."""
    path, _, query = address.partition("#")[0].partition("?")
    told = sorted((key, value) for key, value in parse_qsl(query) if SAID_ANYWAY.get(key) != value)
    return f"{path.rstrip('/') or '/'}{'?' + urlencode(told) if told else ''}"


def file_of(address: str, *, page: bool) -> str:
    """The file of a settled address. page: whether it is a page, in a folder of its own, or a file by itself."""
    path, _, query = address.partition("?")
    parts = [_part(unquote(part)) for part in path.split("/") if part]
    if not page:
        return "/".join(parts)
    asked = dict(parse_qsl(query))
    ending = "json" if asked.pop("format", "") == "json" else "html"
    words = "".join(f"~{key}-{_value(value)}" for key, value in sorted(asked.items()))
    return "/".join((*parts, f"index{words}.{ending}"))


def link(source: str, target: str, fragment: str = "") -> str:
    """What leads from the file `source` to the file `target`."""
    found = posixpath.relpath(target, posixpath.dirname(source) or ".")
    return f"{found}#{fragment}" if fragment else found


def _part(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"~{ord(found[0]):02x}", text)


def _value(text: str) -> str:
    short = _part(text)
    return short if len(short) <= MAX_VALUE else hashlib.sha256(text.encode()).hexdigest()[:16]
