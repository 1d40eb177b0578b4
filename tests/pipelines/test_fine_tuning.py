"""Training that begins with a base: its bytes are checked, its weights are taken, and an adapter lies beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers.models import BPE

from pipelines import base_folder, deps, fine_tuning, layout, params, tokenizer
from pipelines import model as models
from pipelines.determinism import NATIVE
from pipelines.params import Params
from registry.errors import InputError, VerificationError
from registry.manifest import Manifest
from registry.records import folders
from registry.records.base_record import Base
from registry.records.run import directory_digest
from tests.pipelines.small_project import LLAMA, TRAIN
from tests.pipelines.small_project import params as settings

COMMIT = "a" * 40
ADAPTER = {"rank": 2, "alpha": 4, "targets": ["q_proj", "down_proj"]}


def tuned(*, adapter: dict[str, Any] | None = None, **changed: Any) -> Params:
    """A project that begins with org/base."""
    said = settings(
        base={"model": f"hf://org/base@{COMMIT}"}, model={"architecture": "llama", "context": 16, "config": {}},
        train={**TRAIN, **({"adapter": adapter} if adapter else {})},
    )  # fmt: skip
    return Params.model_validate_json(json.dumps(said | changed))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """A small Llama in build/base of the current directory, kept in half the bits, with its record."""
    monkeypatch.chdir(tmp_path)
    base_folder.checked.cache_clear()
    asked = Params.model_validate_json(json.dumps(settings())).model
    model = models.blank(models.configuration(asked, vocabulary=300, end_of_text=0), NATIVE)
    models.initialise(model, 3)
    model.to(torch.bfloat16).save_pretrained(folders.BASE)
    record()
    return {name: parameter.detach().float() for name, parameter in model.named_parameters()}


def record() -> None:
    found = Manifest.of_directory(Path(folders.BASE))
    digest = directory_digest({entry.path: entry.sha256 for entry in found.entries})
    said = Base(
        repo="org/base", commit=COMMIT, sha256=digest, files=len(found.entries), size=found.size, verification=None
    )
    Path(folders.BASE_RECORD).write_bytes(said.to_bytes())


def blank(asked: Params) -> Any:
    return fine_tuning.blank(asked, NATIVE, vocabulary=300, end_of_text=0)


def test_every_parameter_begins_with_the_base_s(base: dict[str, torch.Tensor]) -> None:
    model = blank(asked := tuned())
    fine_tuning.begin(model, asked)
    found = models.parameters(model)
    assert found.keys() == base.keys() and all(torch.equal(found[name], base[name]) for name in base)
    assert model.config.hidden_size == LLAMA["hidden_size"]


def test_an_adapter_begins_as_the_base_and_is_stored_as_peft_has_it(base: dict[str, torch.Tensor]) -> None:
    from peft import get_peft_model_state_dict

    model = blank(asked := tuned(adapter=ADAPTER))
    fine_tuning.begin(model, asked)
    first = {name: parameter.detach().clone() for name, parameter in models.parameters(model).items()}
    assert len(first) == 8 and all(("lora_B" in name) == (not tensor.any()) for name, tensor in first.items())
    frozen = {name: tensor for name, tensor in model.named_parameters() if not tensor.requires_grad}
    assert sum(tensor.numel() for tensor in frozen.values()) == sum(tensor.numel() for tensor in base.values())
    rows = torch.arange(34).view(2, 17)
    plain = blank(tuned())
    fine_tuning.begin(plain, tuned())
    assert torch.equal(models.loss_sum(model, rows), models.loss_sum(plain, rows))
    models.loss_sum(model, rows).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in models.parameters(model).values())
    lying = layout.layout_of(model)
    stored = lying.stored(first)
    theirs = get_peft_model_state_dict(model)
    assert stored.keys() == theirs.keys() and all(torch.equal(stored[name], theirs[name]) for name in stored)
    again = lying.restored(stored, Path("here"))
    assert all(torch.equal(again[name], first[name]) for name in first)
    fine_tuning.begin(other := blank(asked), asked)
    assert all(torch.equal(found, first[name]) for name, found in models.parameters(other).items())


def test_a_base_whose_bytes_are_not_as_recorded_is_not_read(base: dict[str, torch.Tensor]) -> None:
    path = Path(folders.BASE) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(VerificationError, match="build/base is sha256"):
        blank(tuned())
    record()
    with pytest.raises(VerificationError, match=r"params\.yaml hf://org/other"):
        blank(tuned(base={"model": f"hf://org/other@{COMMIT}"}))


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ({"architecture": "qwen2", "context": 16, "config": {}}, "is a llama"),
        ({"architecture": "llama", "context": 17, "config": {}}, "sees 16 tokens at once, not 17"),
        ({"architecture": "nothing", "context": 16, "config": {}}, "no causal language model called 'nothing'"),
    ],
)
def test_settings_that_do_not_fit_the_base_are_refused(
    base: dict[str, torch.Tensor], model: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError, match=found):
        blank(tuned(model=model))


def test_modules_that_the_base_does_not_have_are_refused(base: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match=r"train\.adapter"):
        blank(tuned(adapter={**ADAPTER, "targets": ["nowhere"]}))


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"train": {**TRAIN, "adapter": ADAPTER}}, "goes with a base"),
        ({"base": {"model": f"hf://org/base@{COMMIT}"}}, "model.config is the base's own"),
        ({"base": {"model": "hf://org/base@main"}}, "base.model"),
        (
            {
                "base": {"model": f"hf://org/base@{COMMIT}"}, "release": {"provenance": ["params.yaml"]},
                "model": {"architecture": "llama", "context": 16, "config": {}},
            },
            "has to name build/base.json",
        ),
    ],
)  # fmt: skip
def test_params_that_contradict_themselves_are_refused(changed: dict[str, Any], found: str, tmp_path: Path) -> None:
    (path := tmp_path / "params.yaml").write_text(json.dumps(settings(**changed)))
    with pytest.raises(InputError, match=found):
        params.load(path)


def test_the_tokenizer_of_a_base_is_taken_whole(tmp_path: Path) -> None:
    (folder := tmp_path / "base").mkdir()
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        tokenizer.of_base(folder, tmp_path / "out")
    bpe = BpeTokenizer(BPE({"a": 0, "</s>": 1}, []))
    (folder / "tokenizer.json").write_text(bpe.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    tokenizer.of_base(folder, tmp_path / "out")
    assert tokenizer.end_of_text(tmp_path / "out") == "</s>"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip


STAGES = """stages:
  tokenizer:
    cmd: sh tokenizer.sh
    deps:
      - build/corpus
    params: [seed, tokenizer]
    outs: [build/tokenizer]
  other: {cmd: sh other.sh}  # not ours
  release:
    cmd: sh release.sh
    deps:
      - build/model
    params: [seed]
    outs: [build/release]
"""


def test_the_stage_of_the_base_comes_and_goes_with_params_yaml() -> None:
    base = {"model": f"hf://org/base@{COMMIT}", "policy": "base-policy.yaml"}
    wired = deps.rewritten(STAGES, base)
    stages = yaml.safe_load(wired)["stages"]
    assert [*stages] == ["base", "tokenizer", "other", "release"] and stages["base"]["deps"][0] == "base-policy.yaml"
    assert "registry/verification/steps.py" in stages["base"]["deps"]
    assert stages["tokenizer"]["deps"] == [*deps.READ, "build/corpus"] and stages["release"]["params"] == [
        "base",
        "seed",
    ]
    assert stages["release"]["deps"] == [folders.BASE_RECORD, "build/model"]
    own = wired.replace("python -m registry base", "python -m registry base --trust-config trust.json")
    assert deps.rewritten(own, base) == own
    assert deps.rewritten(own) == STAGES
