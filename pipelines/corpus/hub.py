"""Data sets of the Hugging Face Hub, at one commit: the one door to `datasets`.

Rows are streamed, so nothing is kept in the library's cache (whose fingerprints follow paths and times, not content)
and memory stays flat. A stage that was killed goes on from where it was (streaming.py). The Hub's bytes are not checked
on their way; what came is recorded by its digest instead, and a row that changes changes the manifest's root.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.corpus import licences
from pipelines.corpus.chat import ChatTemplate
from pipelines.corpus.columns import documents_of
from pipelines.corpus.documents import Document
from pipelines.corpus.streaming import KeptStream, Position
from pipelines.params import HuggingFace
from registry import variables
from registry.errors import CredentialsError, InputError, Unavailable
from registry.records.data_manifest import DataSource

PATIENCE = 10.0
"""Seconds to wait for the Hub's first answer. Without this question first, `datasets` would try for 24 seconds."""


@dataclass(frozen=True, slots=True)
class HubReader:
    """Reads what `wanted` names."""

    wanted: HuggingFace
    """What params.yaml asks for."""
    chat: ChatTemplate | None = None
    """Writes chats."""
    kept: Path | None = None
    """The folder where what came is kept until the stage has ended; None: nothing is."""

    @property
    def source(self) -> DataSource:
        """How the manifest describes it. Raises InputError for a licence that SPDX does not know."""
        wanted = self.wanted
        stated = licences.required(wanted.license, f"the licence of {wanted.id}") if wanted.license else None
        url = f"https://huggingface.co/datasets/{wanted.dataset}/tree/{wanted.commit}"
        return DataSource(id=wanted.id, kind="huggingface", license=stated, url=url, status=wanted.status)

    def documents(self, max_bytes: int) -> Iterator[Document]:
        """The rows as documents named SPLIT/NUMBER.

        Raises Unavailable where the Hub does not answer, InputError where it answers that there is no such thing, and
        CredentialsError where it asks for a token.
        """
        import httpx2  # what huggingface_hub raises when the network fails
        from datasets import load_dataset_builder
        from datasets.exceptions import DatasetsError

        wanted = self.wanted
        _probe(wanted)
        try:
            builder = load_dataset_builder(wanted.dataset, wanted.config, revision=wanted.commit)
            if hasattr(builder.config, "sample_by"):  # files of text: each is a document, not each of its lines
                builder.config.sample_by = "document"
            stream = KeptStream(self.kept, f"{wanted.model_dump_json()} {self.chat and self.chat.source}")
            for split in sorted(wanted.splits, key=lambda name: f"{name}/"):
                yield from _split(builder, wanted, split, self.chat, stream)
        except (DatasetsError, ValueError) as problem:
            raise InputError(
                f"{wanted.id}: {problem}", mend="compare corpus.sources in params.yaml with the data set's page"
            ) from problem
        except (OSError, httpx2.HTTPError) as problem:
            raise _unavailable(wanted, problem) from problem
        finally:
            gc.collect()  # pyarrow's threads end with what they read for; left to the end they may abort the process


def _split(
    builder: Any, wanted: HuggingFace, split: str, chat: ChatTemplate | None, stream: KeptStream
) -> Iterator[Document]:
    """The documents of one split. Raises InputError where it has none."""
    where, some = f"{wanted.id}, {split}", False

    def begin(position: Position) -> tuple[Iterator[Document], Callable[[], Any]]:
        rows = _rows(builder, split)
        if position.state is not None:
            rows.load_state_dict(position.state)
        left = None if wanted.limit is None else wanted.limit - position.rows
        documents = documents_of(islice(rows, left), wanted, split, where, chat, position.rows)
        return documents, lambda: rows.state_dict()

    for document in stream.documents(split, begin):
        some = True
        yield document
    if not some:
        raise InputError(f"{where}: it has no rows", mend="leave the split out of corpus.sources in params.yaml")


def _rows(builder: Any, split: str) -> Any:
    """The rows of one split, which tell their state, and go on from one.

    A file without bytes has none; the library's readers stumble over it.
    """
    try:
        return builder.as_streaming_dataset(split=split)
    except StopIteration:
        return ()


def _probe(wanted: HuggingFace) -> None:
    """Ask the Hub once whether it has the commit."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = HfApi().dataset_info(wanted.dataset, revision=wanted.commit, timeout=PATIENCE).sha
    except GatedRepoError as problem:
        raise CredentialsError(f"{wanted.id} asks for a token", mend="hf auth login") from problem
    except (RepositoryNotFoundError, RevisionNotFoundError) as problem:
        raise InputError(
            f"the Hub has no {wanted.id}, or hides it",
            mend="check dataset and commit in params.yaml, or: hf auth login",
        ) from problem
    except (OSError, httpx2.HTTPError) as problem:
        raise _unavailable(wanted, problem) from problem
    if found != wanted.commit:
        raise InputError(f"{wanted.id}: the Hub answers with commit {found}", mend="write that commit's full name")


def _unavailable(wanted: HuggingFace, problem: Exception) -> Unavailable:
    where = os.environ.get(variables.HF_ENDPOINT, "the Hub")
    return Unavailable(
        f"{wanted.id} could not be read from {where}: {problem}",
        mend="try again with the network on, HF_HUB_OFFLINE unset and HF_ENDPOINT right",
    )
