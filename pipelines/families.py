"""Which causal language models of transformers are trained here, and how any other is refused.

FAMILIES   those that tests/bench/families.py trains, twice, to the same bits
others     are tried: transformers has hundreds, and what the code of one raises is an InputError that names it
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from registry.errors import GlasshouseError, InputError, Unavailable

FAMILIES = ("llama", "mistral", "mixtral", "falcon", "olmo2", "gpt_neox", "qwen2", "qwen3", "gemma2")
"""`model.architecture` in params.yaml: the families that are known to train, resume, export and load."""
EAGER = frozenset({"falcon", "gemma2"})
"""Those whose attention is their own: it is computed step by step, by their code."""
CENTRED_NORMS = frozenset({"GemmaRMSNorm", "Gemma2RMSNorm", "Gemma3RMSNorm"})
"""Classes of transformers that scale by 1 + weight."""
MEND = f"choose a family that is known to work: {', '.join(FAMILIES)}; or mend model.config in params.yaml"


def demand_causal(architecture: str) -> None:
    """Raise InputError unless transformers has a causal language model of that name."""
    if architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise InputError(f"transformers has no causal language model called {architecture!r}", mend=MEND)


@contextmanager
def attempted(architecture: str) -> Iterator[None]:
    """Around what transformers does for a model: whatever it raises is an InputError that names the architecture.

    But for Unavailable, which says what this machine lacks.
    """
    try:
        yield
    except Unavailable:
        raise
    except GlasshouseError as problem:
        raise InputError(f"{architecture!r}: {problem.message}", mend=problem.mend) from problem
    except Exception as problem:  # code of hundreds of families: what it raises is not known
        words = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
        raise InputError(f"the architecture {architecture!r} cannot be trained here: {words}", mend=MEND) from problem
