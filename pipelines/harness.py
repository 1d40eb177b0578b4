"""Tasks of lm-evaluation-harness on the exported model: `python -m pipelines.harness`.

    build/model, the folder of the project's own tasks -> build/harness/harness.json

It is a stage where params.yaml has `evaluate.harness`; the harness comes with the extra `evaluate`. The one door to it.
The model computes in the numeric profile that it was trained in, so that whoever runs it again gets the same figures.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from pipelines import determinism, harness_results, local_tasks, params, stage, tracking
from pipelines.checkpoints import RunFolder
from pipelines.determinism import Profile
from pipelines.export import OUT as MODEL
from pipelines.local_tasks import FoundTask
from pipelines.params import Params
from pipelines.train import OUT as TRAINED
from registry import extras, variables
from registry.errors import InputError, Unavailable
from registry.files import directory_beside
from registry.records import folders, harness
from registry.records.checkpoint_chain import Chain
from registry.records.harness import HarnessEvaluation, HarnessSettings

if TYPE_CHECKING:  # they load torch, which has to come after the profile
    import torch
    from transformers import PreTrainedModel

OUT = Path(folders.HARNESS)


def main() -> None:
    """Evaluate what the earlier stages left in the current directory."""
    settings = params.load()
    asked = settings.evaluate.harness
    if asked is None:
        raise InputError("params.yaml has no evaluate.harness", mend="add it: docs/how-to/evaluate.md")
    if quiet():
        os.environ[variables.TQDM_DISABLE] = "1"
    demand()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    determinism.check(profile)
    from pipelines import fine_tuning

    local = local_tasks.found(asked.include_path)
    model = fine_tuning.exported(settings, profile, MODEL)
    model.eval()
    record = measured(model, profile, settings, asked, local)
    with directory_beside(OUT) as folder:
        (folder / harness.NAME).write_bytes(record.to_bytes())
    tracking.evaluated(Chain.read(RunFolder(TRAINED).chain).recipe, record.figures, OUT)
    for name, value in record.figures.items():
        print(f"{name}: {value:g}")


def quiet() -> bool:
    """Whether nobody looks at the harness's bars of progress."""
    return not sys.stderr.isatty()


def demand() -> None:
    """Raise InputError where the harness is not installed."""
    try:
        with extras.needed("evaluate"):
            import lm_eval  # noqa: F401
    except Unavailable as problem:
        raise InputError(
            f"params.yaml asks for tasks of the harness: {problem.message}", mend=problem.mend
        ) from problem


def measured(
    model: PreTrainedModel, profile: Profile, settings: Params, asked: HarnessSettings, local: Mapping[str, FoundTask]
) -> HarnessEvaluation:
    """What `model` reaches. Raises InputError for a task that there is not, or that cannot be evaluated on it."""
    import lm_eval
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    from pipelines import fine_tuning, weight_files

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    if asked.unsafe_code:
        os.environ[variables.HF_ALLOW_CODE_EVAL] = "1"
    lm = _profiled(HFLM, profile)(
        pretrained=model, tokenizer=tokenizer, batch_size=asked.batch_size, max_length=settings.model.context
    )
    with _told(asked):
        own = [name for name in asked.tasks if name in local]
        results = simple_evaluate(
            lm,
            tasks=[_spec(local[name]) if name in local else name for name in asked.tasks],
            task_manager=TaskManager(include_defaults=len(own) < len(asked.tasks)),
            num_fewshot=asked.num_fewshot,
            batch_size=asked.batch_size,
            limit=asked.limit,
            bootstrap_iters=asked.bootstrap,
            random_seed=asked.seeds.random,
            numpy_random_seed=asked.seeds.numpy,
            torch_random_seed=asked.seeds.torch,
            fewshot_random_seed=asked.seeds.fewshot,
            confirm_run_unsafe_code=asked.unsafe_code,
        )
    weights = weight_files.digest(MODEL, fine_tuning.exported_weights(settings))
    return harness_results.record(weights, asked, results, local, lm_eval.__version__)


def _profiled(base: Any, profile: Profile) -> Any:
    """The harness's class of models, `base`, that computes as the profile says.

    A profile of known operations has none for a batch of texts of different lengths that goes on: each goes on alone,
    with the likeliest token.
    """
    from pipelines import model as models

    class Profiled(base):  # type: ignore[misc]
        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            with models.arithmetic(profile):
                return super().loglikelihood(requests, disable_tqdm=disable_tqdm or quiet())

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
            with models.arithmetic(profile):
                return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm or quiet())

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
            return super().generate_until(requests, disable_tqdm=disable_tqdm or quiet())

        def _model_generate(self, context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
            if profile.operations == "known":
                return _gone_on(self, profile, context, options, max_length, stop)
            with models.arithmetic(profile):
                return super()._model_generate(context, max_length, stop, **options)

    return Profiled


def _gone_on(
    lm: Any, profile: Profile, context: torch.Tensor, options: Mapping[str, Any], length: int, stop: list[str]
) -> torch.Tensor:
    """The texts in `context`, (rows, tokens), each gone on with to `length` tokens, or until one of `stop` is written.

    options: the harness's; in `attention_mask` 0 marks what is only padding, on the left. Raises InputError where
    answers are to be drawn by chance.
    """
    import torch

    from pipelines import model as models

    if options.get("do_sample"):
        raise InputError(
            f"a task draws its answers by chance, which the profile {profile.name} does not know",
            mend="set do_sample: false in its generation_kwargs, or choose `profile: native`",
        )
    width, end = context.shape[1], lm.eot_token_id
    rows: list[list[int]] = []
    for row, mask in zip(context.tolist(), options["attention_mask"].tolist(), strict=True):
        rows.append(written := [])
        with models.arithmetic(profile):
            for token in models.greedy(lm.model, row[mask.index(1) :], length - width):
                written.append(token)
                if token == end or any(words and words in lm.tok_decode(written) for words in stop):
                    break
    longest = max(map(len, rows))
    padded = [row + [end] * (longest - len(row)) for row in rows]
    return torch.cat([context, torch.tensor(padded, dtype=context.dtype, device=context.device)], dim=1)


def _spec(task: FoundTask) -> dict[str, Any]:
    """What the harness is given for a task of the project: it reads no file itself. Raises InputError for a metric that
    it does not know, which it would fetch as code."""
    from lm_eval.api.registry import metric_registry

    for row in task.said.metric_list:
        if row.metric not in metric_registry:
            raise InputError(
                f"{task.path}: the harness has no metric {row.metric}", mend="name one that it has, as acc"
            )
    config = task.config()
    if rows := task.rows():
        del config["dataset_kwargs"]
        config["custom_dataset"] = partial(_data, rows)
    return config


def _data(rows: Mapping[str, list[dict[str, Any]]], **_: Any) -> Any:
    from datasets import Dataset, DatasetDict

    return DatasetDict({split: Dataset.from_list(documents) for split, documents in rows.items()})


@contextmanager
def _told(asked: HarnessSettings) -> Iterator[None]:
    """Within: what the harness raises for tasks that cannot be evaluated is InputError."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AssertionError, ImportError, TemplateError) as problem:
        said = " ".join(str(problem).split())[:500] or type(problem).__name__
        raise InputError(
            f"{', '.join(asked.tasks)[:200]} cannot be evaluated: {said}",
            mend="see the names of tasks (lm_eval ls tasks), that their data sets can be had, and that prompts fit the "
            "model's context; tasks of the project's own need no Hub: docs/how-to/evaluate.md",
        ) from problem


if __name__ == "__main__":
    stage.run(main)
