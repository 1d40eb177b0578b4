"""What training begins with: a seed, or a base, of which every parameter is trained, or an adapter beside them.

    no base             weights drawn from the seed
    base                the base's weights, all of them trained on
    base and adapter    the base's weights, which stay; matrices of low rank beside them are trained (LoRA, by peft)

Law: no tensor of a base is read before every byte below build/base was found to be as its record says.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from pipelines import layout, weight_files
from pipelines import model as models
from pipelines.base_folder import FOLDER, checked
from pipelines.determinism import Profile
from pipelines.families import attempted, demand_causal
from pipelines.params import Adapter, Params
from pipelines.portable import uniform
from registry.errors import InputError
from registry.records.base_record import ChosenBase
from registry.records.training_folder import WEIGHTS

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


def exported_weights(settings: Params) -> str:
    """What the file of trained weights is called where they are exported."""
    return ADAPTER_WEIGHTS if settings.train.adapter else WEIGHTS


def configuration(settings: Params, *, vocabulary: int, end_of_text: int) -> PreTrainedConfig:
    """The configuration of the model: of params.yaml, or of the base. Raises InputError where the two do not fit."""
    if settings.base is None:
        return models.configuration(settings.model, vocabulary=vocabulary, end_of_text=end_of_text)
    demand_causal(settings.model.architecture)
    folder = checked(settings.base)
    with attempted(settings.model.architecture):
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config.dtype = torch.float32
    room = getattr(config, "max_position_embeddings", settings.model.context)
    for amiss in (
        config.model_type != settings.model.architecture and f"is a {config.model_type}",
        vocabulary > config.vocab_size and f"knows {config.vocab_size} tokens, and the tokenizer has {vocabulary}",
        settings.model.context > room and f"sees {room} tokens at once, not {settings.model.context}",
    ):
        if amiss:
            raise InputError(f"the base {settings.base.model} {amiss}", mend="make `model` of params.yaml fit the base")
    return config


def blank(settings: Params, profile: Profile, *, vocabulary: int, end_of_text: int) -> PreTrainedModel:
    """The model to train: give its parameters values before use. What is not trained has them."""
    config = configuration(settings, vocabulary=vocabulary, end_of_text=end_of_text)
    model = models.blank(config, profile, compiled=settings.train.compile)
    if settings.base is None or settings.train.adapter is None:
        return model
    models.assign(models.parameters(model), _weights(settings.base), FOLDER)
    return _adapted(model, settings.train.adapter)


def begin(model: PreTrainedModel, settings: Params) -> None:
    """Give every parameter that is trained its first value.

    Beside a base: the first matrix of each pair is uniform within 1 / sqrt(its columns), a function of the seed and its
    name; the second is 0, so that training begins with the base.
    """
    if settings.base is None:
        models.initialise(model, settings.seed)
        return
    parameters = models.parameters(model)
    if settings.train.adapter is None:
        models.assign(parameters, _weights(settings.base), FOLDER)
        return
    with torch.no_grad():
        for name, parameter in parameters.items():
            if ".lora_A." in name:
                width = parameter.shape[1] ** -0.5
                parameter.copy_(uniform(f"glasshouse:{settings.seed}:{name}", tuple(parameter.shape), width))
            else:
                parameter.zero_()


def exported(settings: Params, profile: Profile, folder: Path) -> PreTrainedModel:
    """The model that was exported to `folder`, with its base where that is an adapter."""
    if settings.train.adapter is None:
        model = models.blank(AutoConfig.from_pretrained(folder, local_files_only=True), profile)
    else:
        model = blank(settings, profile, vocabulary=0, end_of_text=0)
    models.load(model, *weight_files.found(folder, exported_weights(settings)))
    return model


def write_adapter_config(settings: Params, folder: Path) -> None:
    """Write adapter_config.json, by which peft finds the base: at its repository, and its commit."""
    if settings.base is None or settings.train.adapter is None:
        raise InputError("an adapter needs a base, and params.yaml names none", mend="name a base in params.yaml")
    said = _lora(settings.train.adapter).to_dict()
    said |= {"base_model_name_or_path": settings.base.repo, "revision": settings.base.commit, "inference_mode": True}
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in said.items()}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_adapter_loads(folder: Path) -> None:
    """Raise InputError unless peft, upon the base, takes every tensor in `folder`, and has no other."""
    from peft import PeftModel, get_peft_model_state_dict

    base = AutoModelForCausalLM.from_pretrained(FOLDER, local_files_only=True, dtype=torch.float32)
    found = get_peft_model_state_dict(PeftModel.from_pretrained(base, str(folder)))
    written = models.read_tensors(folder / ADAPTER_WEIGHTS)
    if found.keys() != written.keys() or not all(torch.equal(found[name], written[name]) for name in found):
        raise InputError("peft does not load the exported adapter whole", mend="choose other train.adapter.targets")


def _weights(base: ChosenBase) -> dict[str, torch.Tensor]:
    """The base's parameters by name, as float32, read as `from_pretrained` reads them: shards, types and all."""
    folder = checked(base)
    disable_progress_bar()
    with attempted("the base"):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    if amiss := {what: sorted(map(str, names)) for what, names in report.items() if names}:
        raise InputError(f"transformers does not load the base whole: {amiss}"[:1000], mend="choose another base")
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _adapted(model: PreTrainedModel, adapter: Adapter) -> PreTrainedModel:
    """The model with matrices of low rank, whose values are not set, beside those that `adapter` names."""
    config = _lora(adapter)
    from peft import get_peft_model

    with attempted(f"{model.config.model_type} with train.adapter"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft still asks transformers by a name of before
        found: PreTrainedModel = get_peft_model(
            model, config, adapter_name=layout.ADAPTER, autocast_adapter_dtype=False
        )
    return found


def _lora(adapter: Adapter) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=adapter.rank, lora_alpha=adapter.alpha, target_modules=list(adapter.targets), lora_dropout=0.0, bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip
