"""Kinds that a library loads by files of its own: transformers, sentence-transformers, diffusers, PEFT.

Sources: what `save_pretrained` of each writes; tasks and libraries as huggingface.co/docs/hub names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.hub.reference import is_name
from registry.records.kinds import ADAPTER, CONFIG, MODULES, PIPELINE, ModelFolder
from registry.release.kinds.label import KindLabel

TASKS = {
    "ForCausalLM": "text-generation", "LMHeadModel": "text-generation",
    "ForMaskedLM": "fill-mask", "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification", "ForQuestionAnswering": "question-answering",
    "ForImageClassification": "image-classification", "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "image-segmentation", "ForDepthEstimation": "depth-estimation",
    "ForCTC": "automatic-speech-recognition", "ForSpeechSeq2Seq": "automatic-speech-recognition",
    "ForAudioClassification": "audio-classification", "ForVideoClassification": "video-classification",
    "ForTextToWaveform": "text-to-audio",
}  # fmt: skip
"""The end of an architecture's name in transformers -> what the Hub calls its task. Other ends say no task."""
ADAPTED = {
    "CAUSAL_LM": "text-generation", "SEQ_CLS": "text-classification", "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering", "FEATURE_EXTRACTION": "feature-extraction",
}  # fmt: skip
"""`task_type` of PEFT -> what the Hub calls it."""
PIPELINES = {"StableDiffusion": "text-to-image", "Flux": "text-to-image", "PixArt": "text-to-image"}
"""The beginning of the name of a pipeline of diffusers, where it ends in `Pipeline` and names no other use."""
OTHER_USES = ("Img2Img", "Inpaint", "Upscale", "Depth", "Control", "Video", "Audio")


def transformers_amiss(model: ModelFolder) -> Iterator[str]:
    """`from_pretrained` reads config.json."""
    if not isinstance(model.settings(CONFIG), dict):
        yield f"there is no {CONFIG} that is a JSON object"


def transformers(model: ModelFolder) -> KindLabel:
    """By its architecture."""
    name = model.architecture
    return KindLabel("transformers", next((task for end, task in TASKS.items() if name.endswith(end)), None))


def language_model(model: ModelFolder) -> KindLabel:
    """It goes on with a text."""
    return KindLabel("transformers", "text-generation")


def sentences_amiss(model: ModelFolder) -> Iterator[str]:
    """Each module's folder that is not there. A module without a path lies at the root, or has no files."""
    rows = model.settings(MODULES)
    for row in rows if isinstance(rows, list) else ():
        match row:
            case {"path": str(path), "type": str(kind)}:
                if path and not _has_folder(model, path) and not kind.endswith("Normalize"):
                    yield f"{MODULES} names the folder {path}, which is not there"
            case _:
                yield f"{MODULES} has a module without a path or a type"


def sentences(model: ModelFolder) -> KindLabel:
    """It compares sentences."""
    return KindLabel("sentence-transformers", "sentence-similarity")


def pipeline_amiss(model: ModelFolder) -> Iterator[str]:
    """Each part of the pipeline that has a class, and no folder."""
    parts = model.settings(PIPELINE)
    for name, row in parts.items() if isinstance(parts, dict) else ():
        match row:
            case [str(), str()] if not name.startswith("_") and not _has_folder(model, name):
                yield f"{PIPELINE} names the part {name}, which is not there"


def pipeline(model: ModelFolder) -> KindLabel:
    """By its class."""
    name = model.architecture
    plain = name.endswith("Pipeline") and not any(use in name for use in OTHER_USES)
    return KindLabel("diffusers", next((t for start, t in PIPELINES.items() if plain and name.startswith(start)), None))


def adapter_amiss(model: ModelFolder) -> Iterator[str]:
    """An adapter is nothing without its base."""
    base = model.setting(ADAPTER, "base_model_name_or_path")
    if not isinstance(base, str) or not base:
        yield f"{ADAPTER} names no base (base_model_name_or_path)"


def adapter(model: ModelFolder) -> KindLabel:
    """By its task, with its base where that is a model of the Hub: the path of a folder names none."""
    base = model.setting(ADAPTER, "base_model_name_or_path")
    bases = (base,) if _is_repository(base) else ()
    task = ADAPTED.get(str(model.setting(ADAPTER, "task_type")))
    return KindLabel("peft", task, bases, "adapter" if bases else None)


def _has_folder(model: ModelFolder, name: str) -> bool:
    return any(path.startswith(f"{name.strip('/')}/") for path in model.paths)


def _is_repository(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return len(parts) <= 2 and all(map(is_name, parts))
