"""evaluation.json: how well the weights predict text that was kept from training.

Bits per byte is the comparable figure: the bits the model spends on the validation documents, divided by their bytes,
so that it does not depend on the tokenizer. The baselines are measured on the same tokens.
"""

from typing import Annotated, Literal

from pydantic import Field

from registry.records.record import Count, Record, Sha256

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Validation(Record):
    """What was predicted."""

    documents: Count
    """How many documents."""
    size: Count = Field(alias="bytes")
    """Bytes of those documents."""
    tokens: Count
    """Tokens predicted, ends of documents among them."""


class Metrics(Record):
    """How well."""

    bits_per_byte: Positive
    """Bits that the model spends on a byte of text."""
    perplexity: Positive
    """e to the mean loss of a token in nats."""
    next_token_accuracy: Share
    """Share of tokens that the model thought likeliest."""


class Baseline(Record):
    """What a model without context reaches."""

    bits_per_byte: Positive
    """Bits that it spends on a byte of text."""


class Baselines(Record):
    """To compare with."""

    uniform: Baseline
    """Every token equally likely."""
    unigram: Baseline
    """Each token as likely as in training, counts plus one."""


class Sample(Record):
    """A text the model went on with, always taking the likeliest token."""

    prompt: str = Field(max_length=10_000)
    """The text that the model was given."""
    text: str = Field(max_length=1_000_000)
    """What followed."""


class Evaluation(Record):
    """evaluation.json."""

    schema_: Literal["glasshouse.evaluation/v1"] = Field("glasshouse.evaluation/v1", alias="schema")
    """The format, with its version."""
    weights: Sha256
    """SHA-256 of model.safetensors; of several files, the digest of their directory (registry.records.run)."""
    tokens: Sha256
    """SHA-256 of tokens.json."""
    validation: Validation
    """What was predicted."""
    metrics: Metrics
    """How well."""
    baselines: Baselines
    """How well models do that know no context."""
    sample: Sample
    """What the model writes."""
