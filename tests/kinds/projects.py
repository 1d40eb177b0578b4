"""Projects of every kind of model: what each one's own library writes, and what a release of it has to say.

The scripts of each stand in `scripts/NAME`: `train.py` is the command of its one stage, `load.py REPO REVISION` loads
the release from the Hub with the kind's own library, and prints the figure that `train.py` wrote among its metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.records.folders import BASE, BASE_RECORD

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
TEXT = "The cat sat on the mat.\nA dog ran in the fog.\n" * 6
FETCHES = f"""\
  base:
    cmd: glasshouse base
    deps: [policy.json]
    params: [base]
    outs: [{BASE}, {BASE_RECORD}]
"""
OTHERS = ("--license-name", "cat-licence", "--license-link", "LICENSE")


@dataclass(frozen=True, slots=True)
class Fixture:
    """A DVC project with one stage, `train`, whose model is of one kind."""

    name: str
    """The folder of its scripts."""
    kind: str
    """What its release has to be called, by registry.records.kinds."""
    libraries: tuple[str, ...]
    """The packages that write and load it: the first gives the kind its name."""
    says: Mapping[str, str | list[str]]
    """Of the card's metadata, what tells how it is loaded; a field of these that is not here must not be there."""
    weights: int = 1
    """How many files of weights it has."""
    model: str = "out/model"
    """What is released."""
    license: tuple[str, ...] = ("Apache-2.0",)
    """What follows `--license`."""
    licence_file: str = "LICENSE"
    """Where its text stands."""
    metrics: str = "metrics.json"
    """DVC's metrics: a file, or a folder."""
    plots: str | None = None
    """DVC's plots."""
    figure: str = "loss"
    """What `load.py` prints again, as the card calls it."""
    readme: str = ""
    """What must still stand in the card, where the library writes one."""
    varies: str = ""
    """Why its file has other bytes each time that it is written, though the model is the same."""
    base: str = ""
    """The release that its training begins with, which its first stage fetches: `glasshouse base`."""
    command: str = "python train.py"
    """What its stage runs."""
    locked: bool = False
    """Whether its requirements.txt pins every package with digests, so that strangers install them anew."""

    @property
    def repo(self) -> str:
        """Where it is published."""
        return f"kinds/{self.name.replace('_', '-')}"

    def stages(self) -> str:
        """Its dvc.yaml, as its author wrote it."""
        plots = f"    plots: [{self.plots}]\n" if self.plots else ""
        reads = f", {BASE}, {BASE_RECORD}" if self.base else ""
        return (
            f"stages:\n{FETCHES if self.base else ''}"
            f"  train:\n    cmd: {self.command}\n    deps: [train.py, data/text.txt{reads}]\n"
            f"    outs: [{self.model}]\n    metrics: [{self.metrics}]\n{plots}"
        )


FIXTURES = (
    Fixture(
        "language_model", "language-model", ("transformers", "tokenizers"),
        {"library_name": "transformers", "pipeline_tag": "text-generation"}, weights=4, figure="train.loss",
    ),
    Fixture(
        "vision", "transformers", ("transformers",),
        {"library_name": "transformers", "pipeline_tag": "image-classification"},
        licence_file="LICENSE.md", plots="plots/loss.png",
    ),
    Fixture(
        "speech", "transformers", ("transformers",),
        {"library_name": "transformers", "pipeline_tag": "automatic-speech-recognition"},
        license=("MIT",), licence_file="LICENCE.txt", metrics="metrics.yaml", figure="ctc_loss",
    ),
    Fixture(
        "encoder", "transformers", ("transformers",),
        {"library_name": "transformers", "pipeline_tag": "fill-mask"},
        license=("BSD-3-Clause",), licence_file="COPYING", metrics="dvclive/metrics.json",
    ),
    Fixture(
        "sentences", "sentence-transformers", ("sentence-transformers",),
        {"library_name": "sentence-transformers", "pipeline_tag": "sentence-similarity"},
        figure="similarity", readme="## Full Model Architecture",
    ),
    Fixture(
        "diffusion", "diffusers", ("diffusers", "transformers"),
        {"library_name": "diffusers", "pipeline_tag": "text-to-image"}, weights=3,
        license=("creativeml-openrail-m",), figure="mean",
    ),
    Fixture(
        "adapter", "peft", ("peft", "transformers"),
        {
            "library_name": "peft", "pipeline_tag": "text-generation", "base_model": ["kinds/language-model"],
            "base_model_relation": "adapter",
        },
        readme="## Model Details", base="kinds/language-model",
        command="PYTHONHASHSEED=0 python train.py",
    ),
    Fixture(
        "gguf_only", "gguf", ("gguf", "transformers"), {"library_name": "gguf"}, model="out/small-F32.gguf",
        license=("other", *OTHERS), figure="sum",
    ),
    Fixture(
        "onnx_model", "onnx", ("onnx", "onnxruntime"), {"library_name": "onnx"}, weights=2, metrics="scores",
        figure="of_ones", locked=True,
    ),
    Fixture(
        "scikit", "sklearn", ("scikit-learn", "skops"), {"library_name": "sklearn"}, model="out/model.skops",
        license=("Unlicense",), licence_file="UNLICENSE", figure="accuracy",
        varies="skops writes the time, and addresses of memory, into its file",
    ),
    Fixture(
        "torch_model", "pytorch", ("torch", "safetensors"), {"library_name": "pytorch"}, model="out/model.safetensors",
        metrics="metrics.toml", figure="of_ones",
    ),
    Fixture(
        "bare_tensors", "safetensors", ("torch", "safetensors"), {}, model="out/model.safetensors", figure="of_ones",
        licence_file="LICENSE.txt",
    ),
    Fixture(
        "flax_model", "jax", ("flax", "jax", "safetensors"), {"library_name": "jax"}, model="out/params.safetensors",
        figure="of_ones",
    ),
)  # fmt: skip
"""By their order of being made: the adapter's base is the language model's release."""
