"""checkpoints.json: every checkpoint of a training, each bound to the one before.

    entry i     step, digests of weights and optimizer state, rows of the data order used so far, loss
    previous    SHA-256 of the canonical bytes of entry i - 1; 64 zeros for the first

Laws: `Chain.verify` holds for every chain that `Chain.extended` built; change, drop or swap one entry, and it does not
(but for entries cut off at the end, which only the number of steps in the recipe tells).
"""

from itertools import pairwise
from typing import Annotated, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, model_validator

from registry import canonical
from registry.errors import InputError, VerificationError
from registry.records.record import Count, Record, Sha256

FIRST = "0" * 64
"""What the first entry calls the one before it."""
OBJECTS = (2, 4)
"""JSON objects of a chain without entries, and of each entry."""
MAX_ENTRIES = (canonical.MAX_OBJECTS - OBJECTS[0]) // OBJECTS[1]
"""As many as a JSON document can have objects for."""

Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class FileDigests(Record):
    """One safetensors file."""

    file: Sha256
    """SHA-256 of its bytes."""
    tensors: Sha256
    """SHA-256 of the tensors in it, whatever the layout: registry.tensors.tensors_digest."""


class Positions(Record):
    """A stretch of the data order, in rows."""

    start: Count
    """The first row."""
    end: Count
    """One past the last row."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"positions run from {self.start} back to {self.end}")
        return self


class ProfileName(Record):
    """The numeric profile that decides the bits."""

    name: Label
    """What the profile is called, such as `portable`."""
    digest: Sha256
    """SHA-256 of everything that the profile names."""


class Checkpoint(Record):
    """One entry of the chain."""

    step: Count
    """Optimizer steps done."""
    weights: FileDigests
    """The file of weights."""
    optimizer: FileDigests
    """The file of the optimizer's state."""
    positions: Positions
    """The rows of the data order that were used up since the entry before."""
    loss: float | None
    """Mean training loss, in nats a token, of the last step done; None at step 0."""
    previous: Sha256
    """SHA-256 of the entry before; FIRST for the first."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes of this entry: what the next one calls `previous`."""
        return canonical.digest(self.as_json())


class Chain(Record):
    """checkpoints.json."""

    schema_: Literal["glasshouse.checkpoints/v1"] = Field("glasshouse.checkpoints/v1", alias="schema")
    """The format, with its version."""
    tokens: Sha256
    """SHA-256 of tokens.json."""
    recipe: Sha256
    """SHA-256 of everything that decides the weights: parameters, seed, tokens, profile, packages."""
    profile: ProfileName
    """The numeric profile that it was trained under."""
    entries: tuple[Checkpoint, ...] = Field(max_length=MAX_ENTRIES)
    """One for each checkpoint, in the order of their steps."""

    @property
    def head(self) -> str:
        """Digest of the last entry; FIRST for a chain without any."""
        return self.entries[-1].digest if self.entries else FIRST

    @property
    def consumed(self) -> int:
        """Rows of the data order used so far."""
        return self.entries[-1].positions.end if self.entries else 0

    def extended(
        self, *, step: int, weights: FileDigests, optimizer: FileDigests, end: int, loss: float | None
    ) -> Self:
        """This chain with one checkpoint more, whose rows end before `end`. Raises InputError where it is full."""
        if len(self.entries) >= MAX_ENTRIES:
            raise InputError(
                f"the chain has {len(self.entries)} checkpoints, and no room for one more",
                mend="train anew with fewer: a larger train.checkpoint_every in params.yaml",
            )
        entry = Checkpoint(
            step=step,
            weights=weights,
            optimizer=optimizer,
            positions=Positions(start=self.consumed, end=end),
            loss=loss,
            previous=self.head,
        )
        return self.model_copy(update={"entries": (*self.entries, entry)})

    def up_to(self, count: int) -> Self:
        """The first `count` entries."""
        return self.model_copy(update={"entries": self.entries[:count]})

    def verify(self) -> None:
        """Raise VerificationError, naming the step, unless every link holds.

        The chain starts at step 0 with no row used; steps ascend; each entry carries the digest of the one before; rows
        go on where the last entry ended, and some are used; no two entries have equal weights or optimizer state.
        """
        if not self.entries:
            _broken("it has no entry")
        first = self.entries[0]
        if (first.step, first.previous, first.positions.start, first.positions.end) != (0, FIRST, 0, 0):
            _broken(f"it starts at step {first.step}, row {first.positions.start}, not at step 0, row 0")
        if first.weights.tensors == first.optimizer.tensors:
            _broken(f"step 0 has one digest for weights and optimizer, {first.weights.tensors[:16]}…")
        seen = {first.weights.tensors: 0, first.optimizer.tensors: 0}
        for before, entry in pairwise(self.entries):
            self._link(before, entry)
            for digest in (entry.weights.tensors, entry.optimizer.tensors):
                if digest in seen:
                    _broken(f"steps {seen[digest]} and {entry.step} have the same tensors, {digest[:16]}…")
                seen[digest] = entry.step

    @staticmethod
    def _link(before: Checkpoint, entry: Checkpoint) -> None:
        if entry.step <= before.step:
            _broken(f"step {entry.step} follows step {before.step}")
        if entry.previous != before.digest:
            _broken(f"step {entry.step} names {entry.previous[:16]}… as the entry before, found {before.digest[:16]}…")
        if entry.positions.start != before.positions.end or entry.positions.end == entry.positions.start:
            _broken(
                f"step {entry.step} uses rows {entry.positions.start} to {entry.positions.end}, "
                f"after step {before.step} ended at {before.positions.end}"
            )
        if entry.loss is None:
            _broken(f"step {entry.step} states no loss")


def _broken(found: str) -> NoReturn:
    raise VerificationError(
        f"the chain of checkpoints is broken: {found}",
        mend="train anew from an empty build/train; of a release, report it to its maintainer",
    )
