"""What a release must show before it is trusted: policy.yaml. Its first line of defence is who may sign.

There is no "anybody": a policy names at least one signer. What a policy does not mention, it does not ask for.

Laws: `Policy.of(p.as_json()) == p`; a signer counts once, however many names fit it and however often it signs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from registry import canonical, strict_yaml
from registry.attest import revocation
from registry.attest.predicates import RebuildVerdict
from registry.attest.signature import SignedBy, persons
from registry.attest.signers import (
    AllowedSigner,
    Bundle,
    CertificateHolder,
    CiWorkflow,
    IdentityPattern,
    PublicKey,
    SigstoreIdentity,
    normal_pem,
)
from registry.errors import InputError
from registry.records.openness_record import OpennessClass
from registry.records.record import Record, validated

__all__ = [
    "AllowedSigner", "Approvals", "Bounds", "CertificateHolder", "CiWorkflow", "IdentityPattern", "Licences", "NoWorse",
    "Policy", "Promotion", "PublicKey", "Rebuilders", "SigstoreIdentity", "StatusPolicy", "normal_pem",
]  # fmt: skip

MAX_BYTES = 1 << 20
MEND = "docs/reference/policy.md describes every field; `glasshouse trust pin REF` writes a first policy"

Spdx = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+:() -]{1,500}$")]
"""An SPDX licence expression."""
Figure = Annotated[
    str, StringConstraints(pattern=r"^([a-z][A-Za-z0-9]{0,63}|harness:[A-Za-z0-9][A-Za-z0-9._@:+-]{0,290})$")
]
"""A metric of evaluation.json, such as `bitsPerByte`, or of harness.json, such as `harness:mmlu.acc`."""
FigurePlace = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@ -]{0,299}$")]
"""A metric of evaluation.json, or of a file of DVC's metrics, such as `metrics.json:accuracy`."""
Number = Annotated[float, Field(allow_inf_nan=False)]


class Licences(Record):
    """Which licences are accepted; each list is compared with SPDX expressions as they are written."""

    weights: tuple[Spdx, ...] | None = None
    """Licences that the weights may have; None is any."""
    data: tuple[Spdx, ...] | None = None
    """Licences that the documents may have that were trained on: every one that the signed data statement counts
    must be among them. None is any."""


class Bounds(Record):
    """Within which a figure must lie."""

    min: Number | None = None
    """At least; None: no lower bound."""
    max: Number | None = None
    """At most; None: no upper bound."""


class Rebuilders(Record):
    """How many others must have rebuilt the weights, and to what effect."""

    at_least: Annotated[int, Field(ge=1, le=1000)]
    """How many of `signers`. The release's own signers never count."""
    verdict: Literal["BITWISE", "TENSORS", "WITHIN"] = "BITWISE"
    """The weakest verdict that counts: BITWISE is the strongest, then TENSORS, then WITHIN."""
    max_tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """How far apart, relatively, a rebuild that says WITHIN may have let tensors and figures be."""
    environments: tuple[Literal["fresh", "current"], ...] = Field(("fresh",), min_length=1, max_length=2)
    """Where a rebuild counts: `fresh` is made of the release's own lock of packages, `current` is what the rebuilder
    had."""
    walled: bool = False
    """Whether only such rebuilds count whose code was walled in, so that it could not copy what it was to make."""
    signers: tuple[AllowedSigner, ...] = Field(min_length=1, max_length=1000)
    """Whose rebuilds count."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.verdict == "WITHIN") != (self.max_tolerance > 0):
            raise ValueError("the verdict WITHIN needs a maxTolerance above 0, and no other verdict has one")
        return self


class NoWorse(Record):
    """How a figure may move from the last active release to the next."""

    better: Literal["lower", "higher"]
    """Which way it gets better."""
    max_worse: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    """By how much it may be worse, as it is counted: 0.01 lets an accuracy fall from 0.90 to 0.89."""


class Approvals(Record):
    """Who must agree before a release is promoted."""

    at_least: Annotated[int, Field(ge=1, le=1000)]
    """How many different people of `signers` must have signed the release statement: with it, or by `trust cosign`."""
    signers: tuple[AllowedSigner, ...] | None = Field(None, min_length=1, max_length=1000)
    """Whose approval counts; None: the policy's own signers."""


class Promotion(Record):
    """What a candidate must show before `glasshouse release promote` says that it is active, beyond the policy."""

    figures: dict[FigurePlace, NoWorse] = Field(default_factory=dict, max_length=1000)
    """How far each figure may fall behind the last active release: of evaluation.json by its name (`bitsPerByte`), of
    harness.json by task and metric (`harness:mmlu.acc`), of DVC's metrics by file and name
    (`metrics.json:accuracy`)."""
    approvals: Approvals | None = None
    """Who must agree."""


class StatusPolicy(Record):
    """What must be known of a release's standing."""

    max_age_days: Annotated[float, Field(gt=0, le=36_500)]
    """The newest signed statement that the release is active may be this old."""
    signers: tuple[AllowedSigner, ...] | None = Field(None, min_length=1, max_length=1000)
    """Who may speak of it; None: the policy's own signers."""


class Policy(Record):
    """policy.yaml."""

    schema_: Literal["glasshouse.policy/v1"] = Field("glasshouse.policy/v1", alias="schema")
    """The format, with its version."""
    signers: tuple[AllowedSigner, ...] = Field(max_length=1000, json_schema_extra={"minItems": 1})
    """Who may sign a release: any of these, until `threshold` asks for more. At least one."""
    threshold: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many different ones of `signers` must have signed the release statement. Signatures beyond the first are
    bundles of `glasshouse trust cosign`, given by `--attestation`."""
    attestations: tuple[Bundle, ...] = ()
    """Attestations that must be in the release, by short name, beyond those that every such release makes."""
    openness: OpennessClass | None = None
    """The lowest class of the Model Openness Framework that is accepted."""
    licenses: Licences = Licences()
    """Which licences are accepted."""
    evaluation: dict[Figure, Bounds] = Field(default_factory=dict, max_length=1000)
    """Bounds on the figures of provenance/evaluation.json, by their names, and of provenance/harness.json, by task and
    metric: `harness:mmlu.acc`."""
    rebuilders: Rebuilders | None = None
    """Independent rebuilds that must be shown."""
    status: StatusPolicy | None = None
    """How fresh the word must be that the release still stands."""
    promotion: Promotion | None = None
    """What a candidate must show before it is promoted. Who verifies a release does not look at it."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if not self.signers:
            raise InputError(
                "no signer is named, and nobody is trusted by default",
                mend="name one: --identity WHO --issuer URL, or --key FILE, or --policy policy.yaml",
            )
        if self.threshold > len(self.signers):
            raise InputError(f"the threshold is {self.threshold}, of {len(self.signers)} signers", mend=MEND)
        if self.rebuilders and self.rebuilders.at_least > len(self.rebuilders.signers):
            raise InputError(
                f"{self.rebuilders.at_least} rebuilders are asked for, {len(self.rebuilders.signers)} are named",
                mend=MEND,
            )
        approvals = self.promotion.approvals if self.promotion else None
        if approvals and approvals.at_least > len(approvals.signers or self.signers):
            raise InputError(
                f"{approvals.at_least} approvals are asked for, {len(approvals.signers or self.signers)} can give one",
                mend=MEND,
            )
        return self

    def as_json(self) -> dict[str, Any]:
        """The JSON object, without what it does not say."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The bare keys among the signers."""
        return tuple(rule for rule in self.signers if isinstance(rule, PublicKey))

    @property
    def holders(self) -> tuple[CertificateHolder, ...]:
        """Those among the signers whom an authority of the verifier's own certifies."""
        return tuple(rule for rule in self.signers if isinstance(rule, CertificateHolder))

    def names(self, signer: SignedBy, attestation: str | None = None) -> int | None:
        """Which of `signers` (by index, the first) allows `signer` to sign `attestation`; None where none does.

        attestation: its short name; None: any that a rule without a list of its own allows.
        """
        for index, rule in enumerate(self.signers):
            if rule.may_sign(attestation) and rule.matches(signer):
                return index
        return None

    def counted(self, signers: Iterable[SignedBy], attestation: str) -> int:
        """How many of `signers`, the rules, have signed `attestation`, each by another person: two people whom one
        pattern fits are one of them, and so is one person whom two rules fit.

        It is the largest number of pairs that there are (a matching in a bipartite graph, by augmenting paths).
        """
        allowed = [
            {at for at, rule in enumerate(self.signers) if rule.may_sign(attestation) and any(map(rule.matches, own))}
            for own in persons(signers)
        ]
        taken: dict[int, int] = {}  # by rule, the person that it is counted for

        def finds(person: int, tried: set[int]) -> bool:
            for rule in sorted(allowed[person] - tried):
                tried.add(rule)
                if rule not in taken or finds(taken[rule], tried):
                    taken[rule] = person
                    return True
            return False

        return sum(finds(person, set()) for person in range(len(allowed)))

    def __str__(self) -> str:
        return " or ".join(str(rule) for rule in self.signers)

    @classmethod
    def of(cls, value: Any, *, name: str = "the policy") -> Self:
        """The policy that the JSON value `value` says. Raises InputError, which calls it `name`, for any other."""
        with validated(name, mend=MEND):
            return cls.model_validate_json(canonical.dumps(value), by_alias=True, by_name=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The policy in the YAML or JSON file at `path`. Raises InputError, also when it is missing.

        Revocation lists that it names as files, relative to its own place, are read too.
        """
        value = _with_lists(strict_yaml.read(path, max_bytes=MAX_BYTES, one_way=True), path.parent)
        if (empty := _empty(value, "")) is not None:
            raise InputError(
                f"{path.name}: {empty or 'it'} says nothing", mend="say what is asked for, or leave it out"
            )
        return cls.of(value, name=path.name)


def _empty(value: Any, place: str) -> str | None:
    """Where `value` has a key or an item without a value: what asks for nothing is not a policy."""
    if value is None:
        return place.removeprefix(".")
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in rows if (found := _empty(item, f"{place}.{key}")) is not None), None)


def _with_lists(value: Any, folder: Path) -> Any:
    """`value`, with the text of each revocation list that it names as a file in `folder` in the place of the name."""
    match value:
        case {"revocationLists": list(names)} if len(names) <= revocation.MAX_LISTS:
            return value | {"revocationLists": [_list(name, folder) for name in names]}
        case dict():
            return {key: _with_lists(item, folder) for key, item in value.items()}
        case list():
            return [_with_lists(item, folder) for item in value]
    return value


def _list(name: Any, folder: Path) -> Any:
    is_file = isinstance(name, str) and revocation.BEGIN.decode() not in name
    return revocation.read(folder / name) if is_file else name


STRENGTH: tuple[RebuildVerdict, ...] = ("BITWISE", "TENSORS", "WITHIN")
"""Verdicts of a rebuild that speak for a release, from strong to weak."""
