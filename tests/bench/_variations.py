"""One worker of a training, with something changed that must not matter: `python -m tests.bench._variations WHAT`.

threads=N     torch's own kernels run on N threads, though the profile says one
one-gather    the rows of a micro-batch are taken from all tokens by one index, not window by window
"""

from __future__ import annotations

import sys

from pipelines import determinism, params, stage, train
from pipelines.determinism import Profile
from registry.records.environment import NumericProfile


def main() -> None:
    """Change what the first argument names, and be the worker that RANK and WORLD_SIZE say."""
    settings = params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    what, _, number = sys.argv[1].partition("=")
    if what == "threads":
        _threads(int(number))
    elif what == "one-gather":
        _one_gather()
    else:
        raise SystemExit(__doc__)
    train.work(settings, profile)


def _threads(number: int) -> None:
    check = determinism.check

    def checked(profile: Profile) -> NumericProfile:
        import torch

        found = check(profile)
        torch.set_num_threads(number)
        return found

    determinism.check = checked


def _one_gather() -> None:
    import numpy as np
    import torch

    from pipelines import worker

    def batch(self: worker.Rows, numbers: list[int]) -> torch.Tensor:
        tokens = np.concatenate(self.split.shards).astype(np.int64)
        index = np.array(numbers)[:, None] * self.context + np.arange(self.context + 1)
        return torch.from_numpy(tokens[index])

    worker.Rows.batch = batch  # type: ignore[method-assign]


if __name__ == "__main__":
    stage.run(main)
