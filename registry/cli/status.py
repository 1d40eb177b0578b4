"""`glasshouse release plan`, `promote`, `supersede`, `yank`, `refresh`: say, signed, how a release stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from registry.cli import output, signing
from registry.cli.verify import Endpoint
from registry.errors import InputError, Unavailable

if TYPE_CHECKING:
    from registry.attest.predicates import Severity, Standing
    from registry.attest.statement import Subject
    from registry.catalog.entry import Whom
    from registry.catalog.shelves import ReleaseShelf
    from registry.release.gates import Promotable

PLAN_EXAMPLE = "Example: glasshouse release plan hf://org/model@v1.0.1 --policy policy.yaml"
PROMOTE_EXAMPLE = "Example: glasshouse release promote hf://org/model@v1.0.1 --policy policy.yaml --valid-days 90"
SUPERSEDE_EXAMPLE = 'Example: glasshouse release supersede hf://org/model@v1.0.0 --by v1.0.1 --reason "better data"'
YANK_EXAMPLE = 'Example: glasshouse release yank hf://org/model@v1.0.0 --severity high --reason "a wrong licence"'
REFRESH_EXAMPLE = "Example: glasshouse release refresh hf://org/model@v1.0.1 --policy policy.yaml --valid-days 90"

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0; or the signed release in a directory.")
]
OnHub = Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, a published release.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for a reader.")]
PolicyFile = Annotated[
    Path, typer.Option("--policy", help="A policy.yaml: who may release, and what a candidate must show.")
]
TrustedRoot = Annotated[Path | None, typer.Option("--trusted-root", help="A Sigstore trusted root to tell signers by.")]
Attestations = Annotated[
    list[Path] | None, typer.Option("--attestation", help="An approval or a rebuild: a bundle, or a folder of them.")
]
ValidDays = Annotated[
    float | None,
    typer.Option("--valid-days", help="For how many days it is to be relied on.", min=0.01, max=36_500),
]


@dataclass(frozen=True)
class Where:
    """Where a signed word goes: to the branch `status` of the release's repository, unless a file is named."""

    out: Annotated[
        Path | None,
        typer.Option("--output", help="Write the bundle here, and publish nothing; others give it by --attestation."),
    ] = None
    endpoint: Endpoint = None
    project: Annotated[
        Path, typer.Option("--project", help="Whose MLflow is told, too.", show_default="this directory")
    ] = Path()
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be signed, change nothing.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False


def _whom(policy: Path, trust_config: Path | None, trusted_root: Path | None) -> Whom:
    from registry.cli.catalog import whom_of
    from registry.cli.verify import Verifying

    return whom_of(Verifying(policy=policy, trust_config=trust_config, trusted_root=trusted_root))


@signing.grouped
def plan(
    reference: OnHub,
    policy: PolicyFile,
    attestation: Attestations = None,
    trust_config: signing.TrustConfig = None,
    trusted_root: TrustedRoot = None,
    endpoint: Endpoint = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what promoting a release would do, and which gates are open, shut, or unknown.

    Ends in 0 where every gate is open, in 1 where one is shut, and in 3 where one cannot be told.
    """
    found = _looked(reference, _whom(policy, trust_config, trusted_root), attestation, endpoint)
    if as_json:
        output.data(found.as_json())
    else:
        _show(found)
    raise typer.Exit(found.verdict.exit_code)


@signing.grouped
def promote(
    reference: OnHub,
    policy: PolicyFile,
    who: signing.Signing,
    where: Where,
    attestation: Attestations = None,
    trusted_root: TrustedRoot = None,
    reason: Reason = "every gate of the policy is open",
    valid_days: ValidDays = None,
) -> None:
    """Say that a release is active, once every gate of the policy is open.

    Ends in 1 where a gate is shut, and in 3 where one cannot be told; then nothing is signed.
    """
    found = _looked(reference, _whom(policy, who.trust_config, trusted_root), attestation, where.endpoint)
    if found.verdict.exit_code:
        if where.as_json:
            output.data(found.as_json())
        else:
            _show(found)
        output.say("nothing was signed: a gate is not open")
        raise typer.Exit(found.verdict.exit_code)
    _say(reference, "active", reason, who, where, valid_days=valid_days, verified=found.subject)
    if found.last is not None and not where.as_json:
        last, by = f"hf://{found.last}", found.release.partition("@")[2]
        output.say(f'{found.last} is active too: glasshouse release supersede {last} --by {by} --reason "..."')


@signing.grouped
def supersede(
    reference: Reference,
    by: Annotated[str, typer.Option("--by", help="The version to go to, such as v1.0.1.")],
    reason: Reason,
    who: signing.Signing,
    where: Where,
    valid_days: ValidDays = None,
) -> None:
    """Say that there is a newer release to go to."""
    _say(reference, "superseded", reason, who, where, successor=by, valid_days=valid_days)


@signing.grouped
def yank(
    reference: Reference,
    reason: Reason,
    who: signing.Signing,
    where: Where,
    severity: Annotated[
        Literal["low", "moderate", "high", "critical"] | None,
        typer.Option("--severity", help="How much harm it does to go on using it."),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="The version to go to, such as v1.0.1.")] = None,
) -> None:
    """Take a release back, for good: whoever verifies it from now on is told not to use it."""
    _say(reference, "yanked", reason, who, where, successor=by, severity=severity)


@signing.grouped
def refresh(
    reference: OnHub,
    policy: PolicyFile,
    who: signing.Signing,
    where: Where,
    trusted_root: TrustedRoot = None,
    valid_days: ValidDays = None,
) -> None:
    """Say the newest word on a release once more, so that it is fresh: for those who ask how old it is."""
    from registry.catalog import entry
    from registry.catalog.shelves import find

    found = entry.read(find(reference, endpoint=where.endpoint), _whom(policy, who.trust_config, trusted_root))
    if found.signature.verified is None:
        raise InputError(
            f"{found.name} is not by a signer of the policy: {found.signature.words}", mend="glasshouse verify REF -v"
        )
    if found.newest is None:
        raise InputError(f"nobody whom the policy names said anything of {found.name} yet", mend=PROMOTE_EXAMPLE[9:])
    said = found.newest.status
    if said.standing == "yanked":
        raise InputError(f"{found.name} is yanked, and a yank holds for good", mend="release another version")
    _say(reference, said.standing, said.reason, who, where, successor=said.successor, valid_days=valid_days)


def _looked(reference: str, whom: Whom, attestation: list[Path] | None, endpoint: str | None) -> Promotable:
    from registry.hub.reference import HubReference, parse
    from registry.release import gates

    asked = parse(reference)
    if not isinstance(asked, HubReference):
        raise InputError(f"{reference} is a directory", mend="name a published release: hf://OWNER/NAME@v1.0.0")
    with output.progress("fetching and hashing", None) as progress:
        return gates.look(asked, whom, tuple(attestation or ()), endpoint=endpoint, progress=progress)


def _show(found: Promotable) -> None:
    from registry.release.gates import WORDS

    now = found.newest.status.standing if found.newest else "nobody said how it stands"
    print(output.printable(f"{found.release}: {now} -> active"))
    output.rows([WORDS[gate.verdict], gate.subject, gate.reason] for gate in found.gates)
    if found.last:
        print(output.printable(f"active until now: {found.last}"))


def _say(
    reference: str,
    standing: Standing,
    reason: str,
    who: signing.Signing,
    where: Where,
    *,
    successor: str | None = None,
    severity: Severity | None = None,
    valid_days: float | None = None,
    verified: Subject | None = None,
) -> None:
    """Sign the word, and bring it where it goes.  verified: the release that it must be of."""
    from registry.attest.bundle import MAX_MODEL_BYTES
    from registry.catalog.shelves import find
    from registry.hub.client import HubClient
    from registry.records import layout
    from registry.release import status as standings

    shelf: ReleaseShelf = find(reference, endpoint=where.endpoint)
    bundle = shelf.read(layout.RELEASE_ATTESTATION, MAX_MODEL_BYTES)
    hub = HubClient(where.endpoint) if where.out is None else None
    if hub is not None and successor is not None:
        standings.check_successor(bundle, successor, hub)
    after = standings.link(bundle, hub) if hub else None
    said = standings.statement(
        bundle, standing, reason, successor, severity=severity, after=after, valid_days=valid_days
    )
    if verified is not None and said.subjects[0] != verified:
        raise Unavailable(f"{reference} is another release now than the one that was verified", mend="look at it again")
    _sign(said, bundle, who, out=where.out, hub=hub, dry_run=where.dry_run, as_json=where.as_json)
    if hub is not None and not where.dry_run:
        _tell(where.project, f"hf://{said.subjects[0].name}", standing)


def _tell(project: Path, release: str, standing: Standing) -> None:
    """Tell the project's MLflow, if it has one: what was signed stands, whatever MLflow answers."""
    from registry.project import mlflow

    try:
        if told := mlflow.mark_standing(project, release, standing):
            output.say(f"MLflow: {told}")
    except Unavailable as problem:
        output.error(problem, as_json=False)


def _sign(
    said: Any, bundle: bytes, who: signing.Signing, *, out: Path | None, hub: Any, dry_run: bool, as_json: bool
) -> None:
    from registry.files import write_atomic
    from registry.release import status as standings

    signer, standing = who.signer(), said.predicate["standing"]
    facts = {"release": said.subjects[0].name, "standing": standing, "signer": signing.name(signer)}
    if not dry_run:
        signed = signer.sign(said)
        if out is not None:
            write_atomic(out, signed)
            facts["bundle"] = str(out)
        if hub is not None:
            facts["published"] = standings.publish(said, signed, hub)
    if as_json:
        output.data(facts)
        return
    places = [facts[place] for place in ("bundle", "published") if place in facts]
    words = f"{facts['release']} is {standing}, {'would say' if dry_run else 'says'} {facts['signer']}"
    print(output.printable(f"{words}{', in ' + ' and '.join(places) if places else ''}"))


@signing.grouped
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The signed release that it is about.")],
    say: Annotated[
        Literal["candidate", "active", "superseded", "yanked"], typer.Option("--say", help="How it stands now.")
    ],
    reason: Reason,
    successor: Annotated[
        str | None, typer.Option("--successor", help="With superseded: the version to go to, such as v1.0.1.")
    ] = None,
    valid_days: ValidDays = None,
    out: Annotated[
        Path | None, typer.Option("--output", help="Where to write the bundle; others give it by --attestation.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put it on the branch `status` of the release's repository.")
    ] = False,
    endpoint: Endpoint = None,
    *,
    who: signing.Signing,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be signed, change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Say, signed, how a release stands; promote, supersede, yank and refresh say it in a word of their own."""
    from registry.hub.client import HubClient
    from registry.release import status as standings

    if out is None and not publish:
        raise InputError("the signed word goes nowhere", mend="give --publish, or --output FILE, or both")
    hub = HubClient(endpoint) if publish and not dry_run else None
    bundle = standings.of_directory(folder)
    after = standings.link(bundle, hub) if hub else None
    said = standings.statement(bundle, say, reason, successor, after=after, valid_days=valid_days)
    _sign(said, bundle, who, out=out, hub=hub, dry_run=dry_run, as_json=as_json)
