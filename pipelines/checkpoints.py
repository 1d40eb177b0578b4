"""The folder of one training, which outlives kills and power cuts.

It is laid out as registry.records.training_folder says. The chain is written after the checkpoint that it ends in, and
the lines of metrics are flushed to the disk before the chain.

Law: `resume` leaves exactly what an undisturbed training would have had when it wrote the last checkpoint that is
whole: no more steps, no fewer, no remains.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical
from registry.digest import sha256_bytes, sha256_file
from registry.errors import DigestMismatch, GlasshouseError
from registry.files import directory_beside, write_atomic
from registry.records.checkpoint_chain import Chain, Checkpoint, FileDigests
from registry.records.record import Record, Sha256
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, TrainingFolder

MAX_LINE = 4096
Write = Callable[[Path | None], Mapping[str, FileDigests]]
"""Called with a folder, where it leaves files of tensors. What it wrote, by the files' names.

Every process of a training calls its own. Process 0 names the folder, and alone is told."""


class State(Record):
    """state.json: what a checkpoint is, beside its tensors."""

    entry: Checkpoint
    """Its entry of the chain."""
    metrics: Sha256
    """SHA-256 of the lines of metrics.jsonl up to its step."""


@dataclass(frozen=True, slots=True)
class RunFolder(TrainingFolder):
    """Where one training keeps what it made, and goes on from."""

    def save(self, chain: Chain, write: Write, *, step: int, end: int, loss: float | None) -> Chain:
        """Keep a checkpoint: `write` puts WEIGHTS and OPTIMIZER into the folder it gets. Returns the longer chain.

        Each file is written beside, flushed and renamed, the chain last, so whatever the chain names is whole.
        """
        target = self.checkpoint(step)
        with directory_beside(target) as folder:
            digests = write(folder)
            longer = chain.extended(
                step=step,
                weights=digests[WEIGHTS],
                optimizer=digests[OPTIMIZER],
                end=end,
                loss=loss,
            )
            lines = b"".join(self._metric_lines()[:step])
            (folder / STATE).write_bytes(State(entry=longer.entries[-1], metrics=sha256_bytes(lines)).to_bytes())
            for name in (WEIGHTS, OPTIMIZER, STATE):
                (folder / name).chmod(0o644)
        self.flush_metrics()
        write_atomic(self.chain, longer.to_bytes())
        return longer

    def resume(self, recipe: Chain) -> Chain:
        """The chain of the last whole checkpoint made by this recipe, everything later removed; else an empty one."""
        chain = self._chain(recipe)
        lines = self._metric_lines()
        whole = 0
        for entry in chain.entries:
            if not self._is_whole(entry, lines):
                break
            whole += 1
        kept = chain.up_to(whole)
        self._remove_later(kept)
        last = kept.entries[-1].step if kept.entries else 0
        write_atomic(self.metrics, b"".join(lines[:last]))
        write_atomic(self.chain, kept.to_bytes())
        return kept

    def verify(self, entry: Checkpoint) -> None:
        """Raise DigestMismatch unless the files of the checkpoint are those that the chain names."""
        for name, wanted in ((WEIGHTS, entry.weights.file), (OPTIMIZER, entry.optimizer.file)):
            path = self.checkpoint(entry.step) / name
            found = sha256_file(path) if path.is_file() else "nothing"
            if found != wanted:
                raise DigestMismatch(str(path), signed=wanted, found=found)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add the line of one step."""
        with self.metrics.open("ab") as stream:
            stream.write(canonical.dumps(dict(line)) + b"\n")

    def flush_metrics(self) -> None:
        """See that the lines so far are on the disk."""
        with self.metrics.open("ab") as stream:
            os.fsync(stream.fileno())

    def _chain(self, recipe: Chain) -> Chain:
        """The chain on disk if it is sound and of this recipe, else `recipe`."""
        try:
            chain = Chain.read(self.chain)
            chain.verify()
        except GlasshouseError:
            return recipe
        return chain if chain.up_to(0) == recipe else recipe

    def _is_whole(self, entry: Checkpoint, lines: list[bytes]) -> bool:
        try:
            self.verify(entry)
            state = State.read(self.checkpoint(entry.step) / STATE)
        except GlasshouseError:
            return False
        return state == State(entry=entry, metrics=sha256_bytes(b"".join(lines[: entry.step])))

    def _metric_lines(self) -> list[bytes]:
        """The lines of steps 1, 2, 3, ... as far as they go without a gap."""
        lines: list[bytes] = []
        if not self.metrics.is_file():
            return lines
        with self.metrics.open("rb") as stream:
            while (line := stream.readline(MAX_LINE)).endswith(b"\n"):
                try:
                    value = canonical.parse(line, name=self.metrics.name)
                except GlasshouseError:
                    break
                if not isinstance(value, dict) or value.get("step") != len(lines) + 1:
                    break
                lines.append(line)
        return lines

    def _remove_later(self, chain: Chain) -> None:
        """Remove checkpoints that the chain does not name, and half-written ones."""
        named = {self.checkpoint(entry.step).name for entry in chain.entries}
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        for path in self.checkpoints.iterdir():
            if path.name not in named:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in self.root.glob(".*"):  # what write_atomic had begun
            if path.is_file():
                path.unlink()
