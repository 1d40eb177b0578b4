"""What MLflow needs to load a model by its own words: `mlflow.transformers.load_model("models:/NAME@released")`.

The files of the model stand at the root of the logged model, byte for byte as they are released. Beside them comes
`MLmodel`, which says how to load them, and a copy of the tokenizer where MLflow looks for one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pipelines.tracking.entries import Exported

FLAVOR = "transformers"
TOKENIZER = "components/tokenizer"
"""Where MLflow's own loader looks for a tokenizer."""
CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"


@contextmanager
def described(entry: Exported, model: str, run: str | None) -> Iterator[Path]:
    """A folder with what describes the exported model to MLflow; empty where its files do not say what it is.

    model: the id of the logged model.  run: the run that it came from.
    """
    files = {Path(file.path).name: Path(file.path) for file in entry.files}
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as scratch:
        folder = Path(scratch)
        if CONFIG in files and TOKENIZER_CONFIG in files:
            _describe(folder, files, model, run)
        yield folder


def _describe(folder: Path, files: dict[str, Path], model: str, run: str | None) -> None:
    from mlflow.models import Model

    (folder / TOKENIZER).mkdir(parents=True)
    for name, path in files.items():
        if "token" in name or name == CONFIG:
            shutil.copyfile(path, folder / TOKENIZER / name)
    config, tokenizer = (json.loads(files[name].read_bytes()) for name in (CONFIG, TOKENIZER_CONFIG))
    told = Model(run_id=run, model_id=model)
    told.add_flavor(
        FLAVOR, transformers_version=version(FLAVOR), code=None, task="text-generation",
        instance_type="TextGenerationPipeline", framework="pt", pipeline_model_type=config["architectures"][0],
        model_binary=".", components=["tokenizer"], tokenizer_type=tokenizer.get("tokenizer_class", "AutoTokenizer"),
    )  # fmt: skip
    told.save(str(folder / "MLmodel"))
