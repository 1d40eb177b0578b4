"""GGUF files as the images that Ollama and llama.cpp pull: a manifest, a small configuration, and the file itself.

    GET /v2/OWNER/NAME/manifests/TAG    which file: TAG is how its name ends, `latest` the usual quantization
    GET /v2/OWNER/NAME/blobs/DIGEST     the file, or the configuration

Sources: OCI Distribution Specification 1.1, sections 2 and 4; huggingface.co/docs/hub/ollama; llama.cpp, common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from registry import canonical, suffixes
from registry.digest import sha256_bytes
from registry.formats import gguf_header
from registry.formats.protobuf import OtherFormat
from registry.server.problems import ENTRY_NOT_FOUND, Problem
from registry.server.store.large_files import LargeFiles, read_all
from registry.server.store.objects import TreeRow
from registry.server.store.repository import Repository

USUAL = ("Q4_K_M", "Q4_0", "Q8_0", "F16")
"""What `latest` stands for, the first that is there; else the first file by name."""
MAX_HEAD = 64 << 10
"""Bytes of a file in which it says what it is."""
MAX_FILES = 200
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_MODEL = "application/vnd.ollama.image.model"
_LATER_SHARD = re.compile(r"-(?!00001)[0-9]{5}-of-[0-9]{5}\.gguf$")
_KIND = re.compile(r"[.-]((?:I?Q[0-9][A-Z0-9_]*|B?F(?:16|32)|MXFP4))(?:-[0-9]{5}-of-[0-9]{5})?\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GgufImage:
    """A GGUF file as an image. row: the file.  config: the bytes of its configuration."""

    row: TreeRow
    sha256: str
    config: bytes

    def manifest(self) -> dict[str, Any]:
        """What it is made of, and which file of the repository it is."""
        digest = f"sha256:{sha256_bytes(self.config)}"
        size, large = self.row.size, {"sha256": self.sha256, "size": self.row.size}
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"digest": digest, "mediaType": _CONFIG, "size": len(self.config)},
            "layers": [{"digest": f"sha256:{self.sha256}", "mediaType": _MODEL, "size": size}],
            "ggufFile": {"rfilename": self.row.path, "blobId": self.row.oid, "size": size, "lfs": large},
        }


def image(repo: Repository, commit: str, tag: str, large: LargeFiles) -> GgufImage:
    """The image that a tag stands for. Raises Problem 404 where no file fits."""
    rows = _rows(repo, commit)
    for kind in (*USUAL, "") if tag == "latest" else (tag,):
        for row in rows:
            if row.path.lower() == kind.lower() or _kind_of(row.path) == kind.upper() or not kind:
                return _image(repo, commit, row, large)
    raise Problem(404, f"no GGUF file of {repo.name} fits {tag[:100]!r}", ENTRY_NOT_FOUND)


def config_of(repo: Repository, commit: str, sha256: str, large: LargeFiles) -> bytes:
    """The configuration that has that digest. Raises Problem 404 for none."""
    for row in _rows(repo, commit):
        found = _image(repo, commit, row, large).config
        if sha256_bytes(found) == sha256:
            return found
    raise Problem(404, f"sha256:{sha256} is not here", ENTRY_NOT_FOUND)


def _rows(repo: Repository, commit: str) -> Sequence[TreeRow]:
    """The GGUF files of a commit, by name: of one in parts, the first; no projector of pictures."""
    rows = [row for row in repo.rows(commit, recursive=True) if row.path.endswith(suffixes.GGUF) and row.sha256]
    return [row for row in rows if not _LATER_SHARD.search(row.path) and "mmproj" not in row.path.lower()][:MAX_FILES]


def _kind_of(path: str) -> str:
    found = _KIND.search(path)
    return found[1].upper() if found else ""


def _image(repo: Repository, commit: str, row: TreeRow, large: LargeFiles) -> GgufImage:
    assert row.sha256 is not None
    content = large.content(repo, commit, row.path)
    head = BytesIO(read_all(content, 0, min(content.size, MAX_HEAD)))
    try:
        family = gguf_header.architecture(head, content.size) or "unknown"
    except OtherFormat as problem:
        raise Problem(404, f"{row.path} is not a GGUF file: {problem}", ENTRY_NOT_FOUND) from problem
    config = {
        "model_format": "gguf", "model_family": family, "model_families": [family], "architecture": "amd64",
        "file_type": _kind_of(row.path) or "unknown", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{row.sha256}"]},
    }  # fmt: skip
    return GgufImage(row, row.sha256, canonical.dumps(config))
