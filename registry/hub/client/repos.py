"""Whether a repository is there, and making it."""

from __future__ import annotations

from itertools import islice

from registry.errors import InputError
from registry.hub.client.connection import Connection, named
from registry.hub.reference import check_repository


class Repos:
    """The repositories of a Hub."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection

    def exists(self, repo: str) -> bool:
        """Whether the repository is there, and this user may see it."""
        name, kind = named(repo)
        with self._hub.reading(repo):
            return self._hub.api.repo_exists(name, repo_type=kind)

    def ensure(self, repo: str, *, private: bool | None = None) -> None:
        """Make the repository if it is not there."""
        name, kind = named(repo)
        with self._hub.asking(repo):
            self._hub.api.create_repo(name, repo_type=kind, private=private, exist_ok=True)

    def kept_from_others(self, repo: str) -> str | None:
        """What keeps others from the files of the repository, in words: it is private, or has a gate; else None."""
        name, kind = named(repo)
        with self._hub.reading(repo):
            info = self._hub.api.repo_info(name, repo_type=kind)
            match getattr(info, "private", None), getattr(info, "gated", None):
                case True, _:
                    return "it is private"
                case ((False | None), ("auto" | "manual")):
                    return "it is gated: access has to be asked for"
                case ((False | None), (False | None)):
                    return None
                case other:
                    raise TypeError(f"it says of who may read it {other!r:.200}")

    def names(self, owner: str | None = None, *, most: int) -> list[str]:
        """The models that this user may see, of `owner` or of everybody, sorted. Raises InputError beyond `most`."""
        whose = f"{owner}/" if owner else ""
        with self._hub.reading(f"the models of {owner or self._hub.endpoint}"):
            found = [model.id for model in islice(self._hub.api.list_models(author=owner), most + 1)]
            for name in found:
                check_repository(name)
        if len(found) > most:
            raise InputError(f"there are more than {most} models", mend="name an owner: hf://OWNER")
        return sorted(name for name in set(found) if name.startswith(whose))
