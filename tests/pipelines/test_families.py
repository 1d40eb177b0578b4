"""pipelines.families and pipelines.layout: a family of transformers works, or is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from pipelines import determinism
from pipelines import model as models
from pipelines.families import FAMILIES
from pipelines.layout import Layout, layout_of
from pipelines.params import Model
from registry.errors import InputError
from tests.bench.families import CONFIGS

NATIVE = determinism.named("native")
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def made(family: str, **config: Any) -> Any:
    """A model of that family, with its first weights."""
    asked = Model(architecture=family, context=16, config=config or CONFIGS[family])
    found = models.blank(models.configuration(asked, vocabulary=300, end_of_text=0), NATIVE)
    models.initialise(found, 7)
    return found


@pytest.mark.filterwarnings("ignore")
def test_any_family_of_transformers_gives_a_configuration_or_is_refused_by_name() -> None:
    works, refused = set(), set()
    for family in CONFIG_MAPPING_NAMES:
        try:
            models.configuration(Model(architecture=family, context=16, config=SMALL), vocabulary=300, end_of_text=0)
            works.add(family)
        except InputError as problem:
            assert f"{family!r}" in problem.message and "llama, mistral" in problem.mend
            refused.add(family)
    assert works >= {*FAMILIES} and {"t5", "clip"} <= refused
    assert len(works) > 100 and len(refused) > 100


@pytest.mark.parametrize("family", ["t5", "nosuch", "gpt2", "deepseek_v3", "mamba"])
def test_a_family_that_is_not_trained_here_is_refused_by_name(family: str) -> None:
    with pytest.raises(InputError, match=f"'{family}'"), models.arithmetic(NATIVE):
        config = {"n_embd": 16, "n_head": 2, "n_layer": 2} if family == "gpt2" else {"num_hidden_layers": 2}
        config |= (
            {"hidden_size": 16, "n_heads": 2, "num_attention_heads": 2} if family in ("bloom", "deepseek_v3") else {}
        )
        models.loss_sum(made(family, **config), torch.arange(17)[None, :])


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_stored_is_what_save_pretrained_writes(family: str, tmp_path: Path) -> None:
    model = made(family)
    layout, parameters = layout_of(model), models.parameters(model)
    stored = layout.stored({name: each.detach() for name, each in parameters.items()})
    model.save_pretrained(tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    assert stored.keys() == written.keys() and all(torch.equal(stored[name], written[name]) for name in stored)
    _, report = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True, output_loading_info=True)
    assert not any(report.values())
    back = layout.restored(stored, tmp_path)
    assert back.keys() == parameters.keys() and all(torch.equal(back[name], parameters[name]) for name in back)
    other = made(family)
    for parameter in other.parameters():
        torch.nn.init.constant_(parameter, 5.0)
    models.load(other, tmp_path / "model.safetensors")
    assert all(torch.equal(each, parameters[name]) for name, each in models.parameters(other).items())


def state_of(layout: Layout, model: Any) -> dict[str, dict[str, torch.Tensor]]:
    return {
        name: {"step": torch.tensor(3.0), "exp_avg": each.detach() * 2, "exp_avg_sq": each.detach() ** 2}
        for name, each in models.parameters(model).items()
    }


@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_the_optimizer_s_state_lies_beside_its_tensors_and_comes_back(family: str) -> None:
    model = made(family)
    layout = layout_of(model)
    state = state_of(layout, model)
    stored = layout.stored_state(state)
    weights = layout.stored({name: each.detach() for name, each in models.parameters(model).items()})
    assert stored.keys() == {f"{name}.{key}" for name in weights for key in ("step", "exp_avg", "exp_avg_sq")}
    assert all(torch.equal(stored[f"{name}.exp_avg"], tensor * 2) for name, tensor in weights.items())
    back = layout.restored_state(stored, Path("optimizer.safetensors"))
    assert back.keys() == {f"{name}.{key}" for name, kept in state.items() for key in kept}
    assert all(torch.equal(back[f"{name}.{key}"], kept[key]) for name, kept in state.items() for key in kept)


def test_mixtral_s_experts_are_tensors_of_their_own_and_a_strange_file_is_refused() -> None:
    layout = layout_of(made("mixtral"))
    assert layout.places is not None
    assert {name for name in layout.places if ".experts.0." in name and "layers.0" in name} == {
        f"model.layers.0.block_sparse_moe.experts.0.w{number}.weight" for number in (1, 2, 3)
    }
    with pytest.raises(InputError, match="does not fit the model at"):
        layout.restored({"lm_head.weight": torch.zeros(2)}, Path("model.safetensors"))
