"""When things happen in a training: the learning rate of each step, and the steps after which a checkpoint is kept."""

from __future__ import annotations

import math

import numpy as np

from pipelines.params import Train
from pipelines.portable import cosine


def learning_rate(train: Train, step: int) -> float:
    """The rate of step 0, 1, ...: a line up over `warmup_steps`, then half a cosine down to `final_learning_rate`.

    The cosine is ours, so that no C library's rounding reaches the weights.
    """
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    done = (step - train.warmup_steps) / max(1, train.steps - 1 - train.warmup_steps)
    share = 0.5 * (1.0 + float(cosine(np.array([math.pi * min(1.0, done)]))[0]))
    return train.final_learning_rate + (train.learning_rate - train.final_learning_rate) * share


def is_checkpoint(train: Train, done: int) -> bool:
    """Whether a checkpoint is kept after `done` steps: at 0, 1, 2, 4, ... early, then regularly, and at the end."""
    early = done & (done - 1) == 0 and done < train.checkpoint_every
    return early or done % train.checkpoint_every == 0 or done == train.steps


def is_validation(train: Train, done: int) -> bool:
    """Whether the validation loss is measured after `done` steps."""
    return done % train.validate_every == 0 or done == train.steps
