"""The open model that a fine-tuned release began with: had by the auditor's side, for a source without a network.

    record    provenance/base.json, which is signed: the base's commit, and a digest over its files
    files     from its Hub, at that commit; or from a folder of the auditor's: --base DIR
    given     to `glasshouse base`, as the source runs it, in place of the Hub: registry.variables.BASE

Laws: what is given to the source has the digest of the record, and holds no link. No code of the release, and none of
the base, decides what that is. Who vouches for the base is not asked here: `glasshouse verify --bases` asks that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry import canonical, strict_yaml
from registry.errors import CredentialsError, GlasshouseError, InputError, Unavailable, VerificationError
from registry.manifest import Manifest
from registry.records import layout
from registry.records.base_record import Base, ChosenBase
from registry.records.record import validated
from registry.verification.elsewhere import copied
from registry.verification.following import bring, digest_of

SCRATCH = "base"
"""The folder, in the scratch folder of an audit, of the base's files."""


@dataclass(frozen=True, slots=True)
class GivenBase:
    """A base that is as the release records it, where a source can read it."""

    folder: Path
    """Its files."""
    words: str
    """Which base it is, and where its files came from."""


def recorded(root: Path) -> Base | None:
    """What the release in `root` records of its base; None where it has none.

    Raises Unavailable where its settings name a base, and no record says what the base's files are.
    """
    if (root / layout.BASE).is_file():
        return Base.read(root / layout.BASE)
    if (named := _named(root / layout.PARAMS)) is not None:
        raise Unavailable(
            f"the release began with {named.model}, and has no {layout.BASE} that says what the files of that are",
            mend="ask its maintainer to name build/base.json in release.provenance: docs/how-to/fine-tune.md",
        )
    return None


def have(base: Base, given: Path | None, endpoint: str | None, into: Path) -> GivenBase:
    """The files of `base` in the new folder `into`.

    given: the auditor's folder of them; None: they come from the Hub at `endpoint`. Raises InputError where the folder
    has other files; VerificationError where the Hub has; CredentialsError where the Hub asks for a token; Unavailable
    where they cannot be had.
    """
    if given is not None:
        copied(given, into, lambda where, came: _same(base, given, came))
        return GivenBase(into, f"{base.uri}: the {base.files} files in {given} are those that the release records")
    try:
        bring(base, into, endpoint)
    except (VerificationError, CredentialsError):
        raise
    except GlasshouseError as problem:
        raise Unavailable(
            f"the base {base.uri} cannot be had: {problem.message}",
            mend=f"see that its Hub answers, or give its files: hf download {base.repo} --revision {base.commit} "
            "--local-dir DIR; --base DIR",
        ) from problem
    return GivenBase(into, f"{base.uri}: its {base.files} files, from its Hub, are those that the release records")


def _same(base: Base, given: Path, came: Manifest) -> None:
    if (found := digest_of(came)) != base.sha256:
        raise InputError(
            f"the {len(came.entries)} files in {given} are sha256:{found}; the release began with {base.uri}, "
            f"{base.files} files, sha256:{base.sha256}",
            mend=f"give those, and nothing else: hf download {base.repo} --revision {base.commit} --local-dir DIR",
        )


def _named(params: Path) -> ChosenBase | None:
    """The base that signed settings name, as this project's stages read them; None where it is another's word."""
    try:
        settings = strict_yaml.read(params, aliases=True) if params.is_file() else None
        section = settings.get("base") if isinstance(settings, dict) else None
        with validated(layout.PARAMS, mend="docs/how-to/fine-tune.md"):
            return ChosenBase.model_validate_json(canonical.dumps(section))
    except InputError:
        return None
