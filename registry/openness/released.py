"""How open a release of ours is, by its own signed records: no network, nothing guessed, nothing executed.

Laws: the assessment is a function of the files of the release, but for its attestations and openness.json itself. A
component counts only where a file of the release, or of the git commit that it names, is that component, where others
can get it, and where the release states a licence for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from registry import canonical, suffixes
from registry.errors import Unavailable
from registry.files import read_bytes
from registry.hub.reference import DATASETS
from registry.openness import licences, roles
from registry.openness.assessment import MEND, Assessment, Judged, licensed, missing, unknown
from registry.openness.roles import Roles
from registry.records import kinds, layout
from registry.records.checkpoint_chain import Chain
from registry.records.data_manifest import Summary
from registry.records.data_row import NO_LICENCE
from registry.records.evaluation import Evaluation
from registry.records.listing import Listings
from registry.records.openness_record import EvidenceFile
from registry.records.record import Record, validated
from registry.records.release_record import ReleaseRecord, StatedLicences
from registry.records.run import StageRun, Stages
from registry.records.tokens import Tokens

Found = TypeVar("Found", bound=Record)

SETTINGS = (kinds.CONFIG, kinds.PIPELINE, kinds.MODULES, kinds.ADAPTER)
"""Files at the root of a release from which a library builds the model."""
GRAPHS = (".onnx", ".skops", suffixes.GGUF)
"""How the names of weights end that say the architecture, too."""
METADATA = (layout.RECORD, layout.STAGES, layout.PARAMS, layout.ENVIRONMENT, layout.TOKENS, layout.CHECKPOINTS)
"""Records of how the model was made."""
MAX_TEXT = 1 << 20
"""Bytes of the text of a licence."""


@dataclass(frozen=True)
class ReleaseFiles:
    """The files of one release, each held to its digest."""

    name: str
    """What was looked at."""
    digests: Mapping[str, str]
    """SHA-256 of each file by its path, but for attestations."""
    read: Callable[[str, int], bytes]
    """The bytes of one of them, at most so many. Raises GlasshouseError for others than the digest is of."""

    @classmethod
    def at(cls, folder: Path, digests: Mapping[str, str], name: str | None = None) -> ReleaseFiles:
        """Those in `folder`, whose bytes were measured already."""
        return cls(name or str(folder), digests, lambda path, most: read_bytes(folder / path, most))

    def record(self, path: str, kind: type[Found]) -> Found | None:
        """The record at `path`; None where there is none. Raises Malformed where it is not one."""
        if path not in self.digests:
            return None
        return kind.from_bytes(self.read(path, canonical.MAX_BYTES), name=path, max_bytes=canonical.MAX_BYTES)

    def some(self, *paths: str) -> tuple[EvidenceFile, ...]:
        """Those of `paths` that the release has."""
        return tuple(EvidenceFile(path=path, sha256=self.digests[path]) for path in paths if path in self.digests)


def assess(files: ReleaseFiles) -> Assessment:
    """How open the release with `files` is. Raises Malformed for records that are none, Unavailable for no record."""
    with validated("how open it is", mend=MEND):
        return Assessment.of(files.name, _Release(files).judged())


@dataclass(frozen=True)
class _Release:
    """What is known of one release."""

    files: ReleaseFiles

    @cached_property
    def record(self) -> ReleaseRecord:
        if (found := self.files.record(layout.RECORD, ReleaseRecord)) is None:
            raise Unavailable(f"{self.files.name} has no {layout.RECORD}", mend="ask the maintainer for it")
        return found

    @cached_property
    def stated(self) -> StatedLicences:
        return self.record.licenses or StatedLicences()

    @cached_property
    def data(self) -> Summary | None:
        return self.files.record(layout.DATA_SUMMARY, Summary)

    @cached_property
    def evaluation(self) -> Evaluation | None:
        return self.files.record(layout.EVALUATION, Evaluation)

    @cached_property
    def roles(self) -> Roles:
        stages = self.files.record(layout.STAGES, Stages) or Stages(stages=())
        digests = self.files.digests
        listings = Listings(digests, self.files.read, frozenset(digests.values()))
        return Roles(stages, digests, [row.path for row in self.record.weights], listings)

    @cached_property
    def text(self) -> tuple[str, str] | None:
        """(path, text) of the licence in the release."""
        path = next((name for name in layout.LICENCE_FILES if name in self.files.digests), None)
        return (path, self.files.read(path, MAX_TEXT).decode("utf-8", "replace")) if path else None

    def judged(self) -> Iterator[Judged]:
        """Each component."""
        yield self._architecture()
        yield self._weights("model-parameters-final", tuple(row.path for row in self.record.weights))
        yield self._document("model-card", "its card is in the release", layout.CARD)
        yield self._document("data-card", "the card of its data is in the release", layout.DATA_CARD)
        yield self._document("technical-report", "its report is in the release", layout.TECHNICAL_REPORT)
        yield self._document("evaluation-results", "its figures are in the release", layout.EVALUATION, *self._figures)
        yield self._samples()
        yield self._code("training-code", self.roles.training, "wrote the checkpoints or the weights")
        yield self._code("inference-code", self.roles.inference, "read the weights and wrote figures")
        yield self._code("evaluation-code", self.roles.evaluation, "wrote figures")
        yield self._evaluation_data()
        yield self._code("supporting-libraries", self.roles.tools, "wrote the tokenizer")
        yield self._documents("datasets", "the documents that it was trained on")
        yield self._code("data-preprocessing-code", self.roles.preprocessing, "made what the training read")
        yield self._intermediate()
        yield self._document("research-paper", "its paper is in the release", *layout.PAPERS)
        yield self._metadata()

    @property
    def _figures(self) -> list[str]:
        return sorted(path for path in self.files.digests if path.startswith(f"{layout.FIGURES}/"))

    def _licensed(
        self, name: str, words: str, licence: str | None, field: str, files: tuple[EvidenceFile, ...]
    ) -> Judged:
        """A component that is there, by the licence that the release states."""
        if licence is None:
            why = f"{words}; the release states no licence: `licenses.{field}` of its record"
            return unknown(name, why, files=files)
        return licensed(name, words, licence, files)

    def _under_text(self, judged: Judged) -> Judged:
        """`judged`, with the text of its licence; unknown where that is the text of another one."""
        if self.text is None or judged.licence is None or not judged.counts:
            return judged
        path, text = self.text
        name, files = judged.component.name, (*judged.files, *self.files.some(path))
        if other := licences.contradicts(text, judged.licence):
            why = f"{judged.licence} is stated, and {path} is the text of {other}"
            return unknown(name, why, licence=judged.licence, files=files)
        return Judged(judged.component, judged.state, judged.why, judged.licence, files)

    def _architecture(self) -> Judged:
        name = "model-architecture"
        graphs = [row.path for row in self.record.weights if row.path.endswith(GRAPHS)]
        found = self.files.some(*SETTINGS) or self.files.some(*graphs)
        if not found:
            return self._code(name, self.roles.training, "wrote the checkpoints or the weights")
        words = f"{found[0].path} says what the model is built of"
        return self._under_text(self._licensed(name, words, self.stated.code, "code", found))

    def _weights(self, name: str, paths: tuple[str, ...]) -> Judged:
        words = f"{len(paths)} file{'s' if len(paths) != 1 else ''} of weights"
        return self._under_text(licensed(name, words, self.record.license, self.files.some(*paths)))

    def _document(self, name: str, words: str, *paths: str) -> Judged:
        found = self.files.some(*paths)
        if not found:
            return missing(name, f"the release has no {' or '.join(paths[:2])}")
        return self._licensed(name, words, self.stated.documents, "documents", found)

    def _samples(self) -> Judged:
        if self.evaluation is None or not self.evaluation.sample.text.strip():
            return missing("sample-outputs", "no record of the release has a text that the model wrote")
        return self._document("sample-outputs", "a text that it wrote is in the release", layout.EVALUATION)

    def _code(self, name: str, stages: tuple[StageRun, ...], did: str) -> Judged:
        """A component that is code of the stages which did `did`."""
        found, source = self.roles.code(stages), self.record.source
        if not stages:
            return missing(name, f"no recorded stage {did}")
        by = f"{roles.named(stages)} {did}"
        if not found:
            return missing(name, f"{by}, and named no code of the commit among what it read")
        if source.remote is None:
            return missing(name, f"{by}; nobody else can fetch the commit: the release names no place", files=found)
        if not source.pushed:
            why = f"{by}; no branch of {source.remote} had the commit when the release was made"
            return unknown(name, why, licence=self.stated.code, files=found)
        words = f"{by}; {source.remote} at {source.commit[:12]}"
        return self._under_text(self._licensed(name, words, self.stated.code, "code", found))

    def _evaluation_data(self) -> Judged:
        name, tokens = "evaluation-data", self.files.record(layout.TOKENS, Tokens)
        if self.data is None or self.evaluation is None:
            return missing(name, "the release does not record what it was evaluated on, document by document")
        measured = self.evaluation.tokens == self.files.digests.get(layout.TOKENS)
        if tokens is None or not measured or tokens.data_manifest.root != self.data.root:
            return missing(name, "its evaluation is on other data than the manifest's")
        if not self.data.splits.validation.documents:
            return missing(name, "the manifest keeps no document for validation")
        return self._documents(name, f"{self.data.splits.validation.documents} documents for validation")

    def _documents(self, name: str, words: str) -> Judged:
        """A component that is documents of the data manifest, each under its own licence."""
        found = self.files.some(layout.DATA_SUMMARY, layout.data_rows(self.files.digests))
        if self.data is None or len(found) != 2:
            return missing(name, "the release has no data manifest", files=found)
        if untold := self.data.licenses.get(NO_LICENCE):
            return missing(name, f"{untold.documents} documents have no known licence", files=found)
        if not self.data.licenses:
            return missing(name, "the data manifest has no document that is used", files=found)
        beside = any(row.repo.startswith(DATASETS) for row in self.record.companions)
        for source in self.data.sources if not beside else ():
            if source.documents and source.status == "withdrawn":
                return missing(name, f"{source.id} is withdrawn: nobody else can get it", files=found)
            if source.documents and source.kind == "files":
                return missing(name, f"{source.id} is of the project's own files, which are published nowhere",
                               files=found)  # fmt: skip
        closed = [spdx for spdx in self.data.licenses if licences.grade(spdx, "data") is licences.Grade.CLOSED]
        if closed:
            return missing(name, f"{closed[0]}, of {self.data.licenses[closed[0]].documents} documents, is not known "
                           "to be an open licence", files=found)  # fmt: skip
        told = " AND ".join(f"({spdx})" if " " in spdx else spdx for spdx in sorted(self.data.licenses))
        if len(told) > licences.MAX_LENGTH:
            return missing(name, f"{len(self.data.licenses)} licences are too many to be weighed", files=found)
        return licensed(name, f"{words}, each named by source, SHA-256 and licence", told, found)

    def _intermediate(self) -> Judged:
        name, chain = "model-parameters-intermediate", self.files.record(layout.CHECKPOINTS, Chain)
        if chain is None or len(chain.entries) < 2:
            return missing(name, "the release has no chain of checkpoints")
        words = f"the chain names {len(chain.entries)} checkpoints by their digests"
        why = f"{words}; whether they are published, the release itself cannot say: look at it on its Hub"
        return unknown(name, why, licence=self.record.license, files=self.files.some(layout.CHECKPOINTS))

    def _metadata(self) -> Judged:
        found = self.files.some(*METADATA)
        words = f"{len(found)} records of how it was made"
        return self._licensed("model-metadata", words, self.stated.data, "data", found)
