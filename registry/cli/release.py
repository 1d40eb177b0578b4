"""`glasshouse release`: prepare, sign, publish; and cut, which does all three."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import variables
from registry.cli import catalog, output, signing, status
from registry.cli.tree import App

if TYPE_CHECKING:
    from registry.attest.signature import Signer
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference
    from registry.release.config import ReleaseConfig
    from registry.release.preparing import ReleasePlan
    from registry.release.publishing import Ready

app = App(help="Cut signed releases of the model that `dvc repro` built.", no_args_is_help=True)

Project = Annotated[Path, typer.Option("--project", help="The DVC project.", show_default="this directory")]
Name = Annotated[str | None, typer.Option("--name", help="Which model, where the `release` section has several.")]
Version = Annotated[str | None, typer.Option("--version", help="major.minor.patch; by default the next patch.")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", envvar=variables.HF_ENDPOINT, help="The Hub; by default the public one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done, change nothing.")]
Rehash = Annotated[
    bool,
    typer.Option("--rehash", envvar=variables.REHASH, help="Hash also what has not changed since it was recorded."),
]
Local = Annotated[bool, typer.Option("--local", help="Ask and tell no Hub: the release stays in releases/.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A prepared release, such as releases/NAME/v1.0.0.")]
Checkpoints = Annotated[
    bool, typer.Option("--checkpoints", help="Also publish every checkpoint, each on a branch such as step-000100.")
]
CheckpointsFrom = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints-from",
        help="Where the checkpoints are.",
        show_default="beside checkpoints.json, where the project has it",
    ),
]
HERE = Path()


@app.command(epilog="Example: glasshouse release prepare --version 1.0.0")
def prepare(
    project: Project = HERE,
    name: Name = None,
    version: Version = None,
    endpoint: Endpoint = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Only what the records decide: the last stage of dvc.yaml runs this.")
    ] = False,
    local: Local = False,
    rehash: Rehash = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lay out a release from what `dvc repro` built: weights, model card, records, lock and commit; unsigned."""
    from registry.release import config as configs
    from registry.release import draft as drafts

    config = configs.load(project, name)
    if draft:
        folder = project / config.output if dry_run else drafts.write(project, config)
        _told(as_json, f"draft of {config.repo} in {folder}", draft=str(folder))
        return
    planned = _planned(project, config, version, None if local else _hub(endpoint), rehash)
    folder = _prepared(project, config, planned, dry_run)
    words = f"{'would prepare' if dry_run else 'prepared'} {config.repo} {planned.record.tag} in {folder}"
    _told(as_json, words, folder=str(folder), record=planned.record.as_json())


@app.command(epilog="Example: glasshouse release sign releases/tiny-llama/v1.0.0 --key private.pem")
@signing.grouped
def sign(
    folder: Folder,
    who: signing.Signing,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Sign a prepared release: its attestations, the release statement, and model.sig over everything."""
    from registry import api

    signer = who.signer()
    if not dry_run:
        api.sign(folder, signer)
    _told(as_json, f"{'would sign' if dry_run else 'signed'} {folder} as {signing.name(signer)}", folder=str(folder))


@app.command(epilog="Example: glasshouse release publish releases/tiny-llama/v1.0.0")
def publish(
    folder: Folder,
    project: Project = HERE,
    checkpoints: Checkpoints = False,
    checkpoints_from: CheckpointsFrom = None,
    endpoint: Endpoint = None,
    trust_config: signing.TrustConfig = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Publish a signed release to the Hub: one commit, its checksums compared, then the tag.

    Checkpoints go first, so that a release is whole once its tag is there.
    """
    hub = _hub(endpoint)
    ready = _looked_at(folder, hub)
    _verified(folder, None, trust_config)
    source = checkpoints_from or (_checkpoints(project, folder) if checkpoints else None)
    sent = _checkpoints_published(folder, source, hub, dry_run) if source else {}
    if dry_run:
        _told(as_json, f"would publish {ready}", reference=str(ready.reference), bytes=ready.size, **sent)
        return
    reference = _published(project, folder, hub, ready)
    _told(as_json, f"published {reference}", reference=str(reference), **sent)


@app.command(epilog="Example: glasshouse release cut --version 1.0.0")
@signing.grouped
def cut(
    project: Project = HERE,
    name: Name = None,
    version: Version = None,
    endpoint: Endpoint = None,
    *,
    who: signing.Signing,
    checkpoints: Checkpoints = False,
    local: Local = False,
    rehash: Rehash = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Prepare, sign, verify and publish the next release. Where nothing changed since the last, do nothing.

    What verification says is asked before anything is sent: what it FAILs is not published.
    """
    from registry.release import config as configs
    from registry.release import cut as cutting
    from registry.release import publishing
    from registry.release.signing import is_signed, sign

    config, hub = configs.load(project, name), None if local else _hub(endpoint)
    planned = _planned(project, config, version, hub, rehash)
    if hub and version is None and (tag := cutting.unchanged_since(hub, planned.record, config.derived)):
        _told(as_json, f"nothing changed since {tag}: nothing to release", unchanged=tag)
        return
    if hub:
        publishing.check_rights(planned.record, hub)  # before anything is signed
    signer = who.signer()
    if dry_run:
        then = f"publish it to {config.repo}" if hub else "leave it there"
        words = f"would prepare {planned.folder}, sign it as {signing.name(signer)} and {then}"
        _told(as_json, words, record=planned.record.as_json())
        return
    folder = _prepared(project, config, planned, dry_run=False)
    if not is_signed(folder):
        sign(folder, signer)
    output.say(f"signed as {signing.name(signer)}")
    _verified(folder, signer, who.trust_config)
    if hub is None:
        _told(as_json, f"{config.repo} {planned.record.tag} stands signed in {folder}", folder=str(folder))
        return
    ready = _looked_at(folder, hub)
    sent = _checkpoints_published(folder, _checkpoints(project, folder), hub, dry_run) if checkpoints else {}
    reference = _published(project, folder, hub, ready)
    _told(as_json, f"published {reference}", reference=str(reference), folder=str(folder), **sent)


def _hub(endpoint: str | None) -> HubClient:
    from registry.hub.client import HubClient

    return HubClient(endpoint)


def _planned(
    project: Path, config: ReleaseConfig, version: str | None, hub: HubClient | None, rehash: bool
) -> ReleasePlan:
    """What would be prepared: the version asked for, if it is new, else the next.

    Without a Hub only the releases that stand in the project count, and one that is named may be prepared again.
    """
    from registry.release import cut as cutting
    from registry.release.preparing import RELEASES, plan

    released = cutting.versions(hub, config.repo) if hub else cutting.signed_here(project / RELEASES / config.name)
    if hub and version is not None:
        cutting.check_is_new(released, version)
    return plan(project, config, version or cutting.next_version(released), rehash=rehash)


def _prepared(project: Path, config: ReleaseConfig, planned: ReleasePlan, dry_run: bool) -> Path:
    """The directory of the prepared release; one that stands already, of the same record, is left as it is."""
    from registry.hub import metadata
    from registry.release.preparing import is_prepared
    from registry.release.preparing import prepare as prepare_release

    for warning in planned.warnings:
        output.say(f"warning: {warning}")
    if dry_run or is_prepared(planned):
        return planned.folder
    output.say(f"preparing {planned.record.tag} from commit {planned.record.source.commit[:12]}")
    metadata.check(planned.draft)  # now, for what is signed cannot be mended
    return prepare_release(project, config, planned)


def _verified(folder: Path, signer: Signer | None, trust_config: Path | None) -> None:
    """Ask what verification will say, and tell what it cannot check. Raises Refused for what fails."""
    from registry.release import self_check
    from registry.release.publishing import size

    with output.progress("verifying", size(folder)) as progress:
        found = self_check.report(folder, signer, trust_config, progress)
    for line in self_check.hold(found):
        output.say(f"verification will say UNKNOWN: {line}")


def _looked_at(folder: Path, hub: HubClient) -> Ready:
    """The release in `folder`, hashed, and found fit to be published."""
    from registry.release.publishing import look, size

    with output.progress("hashing", size(folder)) as progress:
        return look(folder, hub, progress)


def _published(project: Path, folder: Path, hub: HubClient, ready: Ready) -> HubReference:
    """Publish, and tell MLflow. Where MLflow does not answer the release stands all the same, and that is said."""
    from registry.digest import sha256_file
    from registry.errors import Unavailable
    from registry.project import mlflow
    from registry.records import layout
    from registry.records.release_record import ReleaseRecord
    from registry.release.publishing import send

    output.say(f"publishing {ready}")
    with output.progress("sending", ready.size) as progress:
        reference = send(ready, hub, progress)
    record = ReleaseRecord.read(folder / layout.RECORD)
    try:
        told = mlflow.MarkedRelease(
            reference=str(reference), statement=sha256_file(folder / layout.RELEASE_ATTESTATION), lock=record.lock
        )
        weights = {folder / file.path: file.sha256 for file in record.weights}
        marked = mlflow.mark_released(project, weights, told)
        output.say(f"MLflow: {marked}" if marked else "MLflow knows no version of these weights")
    except Unavailable as problem:
        output.error(problem, as_json=False)
    return reference


def _checkpoints(project: Path, folder: Path) -> Path:
    from registry.release import checkpoints

    return checkpoints.kept(project, folder)


def _checkpoints_published(folder: Path, source: Path, hub: HubClient, dry_run: bool) -> dict[str, object]:
    """Compare every checkpoint with the release's chain, say what is to be sent, and send it; what was said."""
    from registry.records import layout
    from registry.records.checkpoint_chain import Chain
    from registry.records.release_record import ReleaseRecord
    from registry.release import checkpoints

    record = ReleaseRecord.read(folder / layout.RECORD)
    with output.progress("hashing checkpoints") as progress:
        local = checkpoints.read(Chain.read(folder / layout.CHECKPOINTS), source, progress)
    with hub.account.rights_to(record.repo):
        planned = checkpoints.plan(hub, record.repo, local)
        output.say(f"{'would send' if dry_run else 'sending'} {planned}")
        if not dry_run:
            with output.progress("sending checkpoints", planned.size) as progress:
                checkpoints.publish(hub, record.repo, planned, progress)
    return {
        "checkpoints": {
            "sent": [checkpoint.branch for checkpoint in planned.missing],
            "bytes": planned.size,
            "standing": [checkpoint.branch for checkpoint in planned.standing],
        }
    }


def _told(as_json: bool, words: str, **facts: object) -> None:
    if as_json:
        output.data(facts)
    else:
        print(words)


app.command("list", epilog=catalog.LIST_EXAMPLE)(catalog.list_releases)
app.command("show", epilog=catalog.SHOW_EXAMPLE)(catalog.show)
app.command("diff", epilog=catalog.DIFF_EXAMPLE)(catalog.diff)
app.command("log", epilog=catalog.LOG_EXAMPLE)(catalog.log)
app.command("plan", epilog=status.PLAN_EXAMPLE)(status.plan)
app.command("promote", epilog=status.PROMOTE_EXAMPLE)(status.promote)
app.command("supersede", epilog=status.SUPERSEDE_EXAMPLE)(status.supersede)
app.command("yank", epilog=status.YANK_EXAMPLE)(status.yank)
app.command("refresh", epilog=status.REFRESH_EXAMPLE)(status.refresh)
app.command("status", hidden=True)(status.status)  # what these were called until 0.1
