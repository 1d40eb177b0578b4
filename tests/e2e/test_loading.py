"""What is loaded was verified: the programs of docs/how-to/load.md, on a release that a maintainer cut."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry import api
from registry.attest.policy import Policy
from registry.variables import CACHE
from tests.conftest import MAINTAINER, ROOT, Released
from tests.sigstore_instance import SigstoreInstance

PAGE = (ROOT / "docs" / "how-to" / "load.md").read_text()
WEIGHTS = "model.safetensors"


def program(heading: str) -> str:
    """The program that the page shows under `heading`."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (found,) = [part for part in section if part.startswith(f"{heading}\n")]
    (shown,) = re.findall(r"```python\n(.*?)```", found, re.DOTALL)
    return str(shown)


@pytest.fixture
def loading(
    released: Released, sigstore: SigstoreInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Where the programs run: with a policy.yaml, on the Hub of the release. The names that they find."""
    for variable, value in released.hub.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv(CACHE, str(tmp_path / "store"))
    signer = {"kind": "identity", "identity": MAINTAINER, "issuer": sigstore.issuer}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"schema": "glasshouse.policy/v1", "signers": [signer]}))
    monkeypatch.chdir(tmp_path)
    trust = sigstore.trust_config_path  # the page's release was signed through the public instance
    fetch = api.fetch
    monkeypatch.setattr(api, "fetch", lambda *given, **named: fetch(*given, trust=trust, **named))
    return {}


def run(text: str, released: Released, names: dict[str, Any]) -> None:
    """Run a program of the page on our release."""
    exec(compile(text.replace("hf://org/model@v1.0.0", released.reference), "load.md", "exec"), names)


def test_transformers_loads_what_was_fetched(released: Released, loading: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import load_file

    run(program("transformers"), released, loading)
    tensors = load_file(released.folder / WEIGHTS)
    assert any(torch.equal(loading["model"].get_input_embeddings().weight, tensor) for tensor in tensors.values())
    assert loading["tokenizer"]("glass")["input_ids"]


def test_a_flipped_byte_raises_before_a_tensor_is_read(
    released: Released, loading: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel

    run(program("transformers"), released, loading)
    flip(loading["folder"] / WEIGHTS)

    def read(*given: object) -> None:
        raise AssertionError("it is loaded")

    monkeypatch.setattr(AutoModel, "from_pretrained", read)
    with pytest.raises(api.FailedReport, match=WEIGHTS):
        run(program("transformers"), released, {})


def test_the_hugging_face_cache_is_verified_before_it_is_loaded(
    released: Released, loading: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = released.reference.removeprefix("hf://").partition("@")[0]
    command = [str(Path(sys.executable).parent / "hf"), "download", repository, "--revision", "v1.0.0"]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing is asked of it from here on
    text = program("What lies in the Hugging Face cache already")
    run(text, released, loading)
    assert loading["folder"].is_relative_to(tmp_path / "huggingface") and loading["model"].num_parameters() > 0
    flip((loading["folder"] / WEIGHTS).resolve())
    with pytest.raises(api.FailedReport, match=WEIGHTS):
        run(text, released, {})
    (loading["folder"] / WEIGHTS).unlink()
    (loading["folder"] / WEIGHTS).symlink_to(released.folder / WEIGHTS)
    with pytest.raises(api.FailedReport, match="links to"):
        run(text, released, {})


def test_the_init_container_runs_the_program_it_shows(
    released: Released, loading: dict[str, Any], tmp_path: Path
) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    pod = yaml.safe_load(shown)["spec"]
    (init,), (server,) = pod["initContainers"], pod["containers"]
    mounts = {mount["name"] for each in (init, server) for mount in each["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert all(mount["readOnly"] for mount in server["volumeMounts"])
    text = init["args"][0].replace('"/models', f'"{tmp_path}/models').replace('"/policy/', f'"{tmp_path}/')
    for _ in range(2):  # as where the container starts again
        run(text, released, loading)
        assert (tmp_path / "models" / "model" / WEIGHTS).is_file() and (tmp_path / "models" / "summary.json").is_file()
    assert server["args"] == ["--model", "/models/model"]


def test_the_policy_is_one_that_the_command_reads(loading: dict[str, Any]) -> None:
    assert str(Policy.load(Path("policy.yaml"))).startswith(MAINTAINER)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
