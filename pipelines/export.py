"""Export what `transformers` loads: `python -m pipelines.export`.

    build/train, build/tokenizer -> build/model
    model.safetensors, config.json, generation_config.json, tokenizer files
    with train.adapter, what peft loads upon the base: adapter_model.safetensors, adapter_config.json, tokenizer files

The weights are the last checkpoint's file, byte for byte: the chain of checkpoints ends in the file that is released.
Beyond `export.shard_bytes` they are several files with an index, model.safetensors.index.json, of the same tensors.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipelines import determinism, params, recipe, stage, tracking
from pipelines.checkpoints import RunFolder
from pipelines.params import Params
from pipelines.train import OUT as TRAINED
from pipelines.train import TOKENIZER, TOKENS
from registry.digest import sha256_file
from registry.errors import InputError, VerificationError
from registry.files import directory_beside
from registry.records import folders
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.tokens import Tokens
from registry.records.training_folder import WEIGHTS

OUT = Path(folders.MODEL)


def main() -> None:
    """Export the model that params.yaml in the current directory describes."""
    settings = params.load()
    determinism.apply(determinism.named(settings.train.profile))
    trained = RunFolder(TRAINED)
    chain = Chain.read(trained.chain)
    entry = last(settings, chain)
    trained.verify(entry)
    from pipelines import fine_tuning, weight_files  # they load torch, which has to come after the profile

    name = fine_tuning.exported_weights(settings)
    with directory_beside(OUT) as folder:
        weights = trained.checkpoint(entry.step) / WEIGHTS
        if settings.train.adapter:
            shutil.copyfile(weights, folder / name)
        else:
            weight_files.export(weights, folder, name, settings.export.shard_bytes)
        for path in sorted(TOKENIZER.iterdir()):
            shutil.copyfile(path, folder / path.name)
        if settings.train.adapter:
            fine_tuning.write_adapter_config(settings, folder)
            fine_tuning.check_adapter_loads(folder)
        else:
            write_config(settings, folder)
            check_loads(folder)
    digests = {path: sha256_file(path) for path in weight_files.found(OUT, name)}
    tracking.registered(chain.recipe, model_name(settings), OUT, next(iter(digests.values())))
    for path, sha256 in digests.items():
        print(f"{path}: sha256:{sha256}")


def last(settings: Params, chain: Chain) -> Checkpoint:
    """The last checkpoint. Raises VerificationError unless the chain is sound, of this recipe, and finished."""
    chain.verify()
    entry = chain.entries[-1]
    if chain.up_to(0) != recipe.chain(settings, TOKENS / "tokens.json") or entry.step != settings.train.steps:
        raise VerificationError(
            f"the checkpoints end at step {entry.step} of another training than params.yaml describes",
            mend="dvc repro train",
        )
    return entry


def write_config(settings: Params, folder: Path) -> None:
    """Write config.json and generation_config.json."""
    from transformers import GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from pipelines import fine_tuning, model

    vocabulary = Tokens.read(TOKENS / "tokens.json").vocabulary
    config = fine_tuning.configuration(settings, vocabulary=vocabulary, end_of_text=model.end_of_text(TOKENIZER))
    config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[settings.model.architecture]]
    config.save_pretrained(folder)
    GenerationConfig.from_model_config(config).save_pretrained(folder)


def check_loads(folder: Path) -> None:
    """Raise InputError unless `from_pretrained` takes every tensor in `folder` and misses none, and the tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    _, report = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    if amiss := {what: sorted(map(str, names)) for what, names in report.items() if names}:
        raise InputError(
            f"transformers does not load the exported model whole: {amiss}", mend="choose another model.architecture"
        )
    AutoTokenizer.from_pretrained(folder, local_files_only=True)


def model_name(settings: Params) -> str:
    """The registered model's name: the last part of `release.repo`, else the architecture's."""
    return str(settings.release.get("repo", settings.model.architecture)).rpartition("/")[2]


if __name__ == "__main__":
    stage.run(main)
