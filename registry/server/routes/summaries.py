"""What the Hub's clients are told of a repository, in a list or by itself.

Source: huggingface.co/docs/hub/api, and the fields that `huggingface_hub.hf_api.ModelInfo` reads.
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request

from registry.server.problems import Problem
from registry.server.routes.declared import taken
from registry.server.store.facts import Facts
from registry.server.store.index import Seen
from registry.server.store.repository import Repository

ALWAYS = ("_id", "id", "modelId")
"""What stands in every answer."""
OFFERED = (
    "author", "sha", "createdAt", "lastModified", "private", "gated", "disabled", "downloads", "downloadsAllTime",
    "likes", "tags", "pipeline_tag", "library_name", "cardData", "config", "safetensors", "siblings", "usedStorage",
    "transformersInfo", "model-index", "baseModels", "description",
)  # fmt: skip
"""What `expand` can name."""
PROPERTY = {"enum": list(OFFERED)}


def summary(repo: Repository | Seen, created: str, downloads: int, told: Facts) -> dict[str, Any]:
    """What a list says. downloads: all that ever were."""
    answer: dict[str, Any] = {
        "_id": hashlib.sha256(repo.name.url_path.encode()).hexdigest()[:24],
        "id": str(repo.name),
        "author": repo.name.owner,
        "sha": told.commit,
        "createdAt": created,
        "lastModified": told.changed,
        "private": repo.private,
        "gated": repo.gated or False,
        "disabled": False,
        "downloads": downloads,
        "downloadsAllTime": downloads,
        "likes": 0,
        "tags": list(told.tags),
    }
    if repo.name.kind == "models":
        answer |= {"modelId": str(repo.name), "pipeline_tag": told.task, "library_name": told.library}
    return {key: value for key, value in answer.items() if value is not None}


def more(told: Facts) -> dict[str, Any]:
    """What is said where somebody asks for more, or for one repository."""
    answer: dict[str, Any] = {"cardData": dict(told.card)} if told.card else {}
    if told.config:
        answer["config"] = {key: told.config[key] for key in ("architectures", "model_type") if key in told.config}
    if told.parameters:
        answer["safetensors"] = {"parameters": dict(told.parameters), "total": sum(told.parameters.values())}
    if "model-index" in told.card:
        answer["model-index"] = told.card["model-index"]
    return answer


def asked(request: Request) -> set[str]:
    """The properties that the query's `expand` names."""
    assert "expand" in taken(request.scope["endpoint"]).query, "expand is not declared"
    return {value for key, value in request.query_params.multi_items() if key in ("expand", "expand[]")}


def expanded(request: Request, answer: dict[str, Any]) -> dict[str, Any]:
    """Those properties alone that the query's `expand` names; all where it names none.

    Raises Problem 400 for one that is not offered.
    """
    expand = asked(request)
    for name in expand:
        if name not in OFFERED:
            raise Problem(400, f"this server does not offer {name[:100]!r} of a repository")
    return {key: value for key, value in answer.items() if not expand or key in expand or key in ALWAYS}
