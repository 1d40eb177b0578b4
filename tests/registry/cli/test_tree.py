"""How the command is put together: what the first page loads, what completion offers, what options were once called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from registry import canonical
from registry.attest.predicates import Standing
from registry.audit.packages import EnvironmentKind
from registry.cli.tree import OUTPUT, RENAMED
from registry.server.access.people import NamespaceRole
from registry.server.access.tokens import Role
from registry.verification.case import DigestMode
from tests.goldens.make_releases import goldens
from tests.registry.cli.words import ROOT, every, options

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
LOADED = """
import sys
before = set(sys.modules)
from registry import cli
sys.argv = ["glasshouse", *sys.argv[1:]]
try:
    cli.main()
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def loaded(*words: str, check: bool = True) -> set[str]:
    """The modules that the command loads for these words."""
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=check)
    return set(done.stderr.split())


def test_the_first_page_loads_no_command_and_nothing_that_it_does_not_need() -> None:
    found = loaded("--help")
    ours = {name for name in found if name.startswith("registry")}
    needed = {"registry.cli.output", "registry.cli.tree", "registry.later", "registry.variables"}
    assert ours == {"registry", "registry.cli", *needed}
    heavy = {"rich", "email", "importlib.metadata", "logging", "hashlib", "pydantic", "yaml", "asyncio"}
    assert "typer" in found and not found & heavy


def test_a_command_s_page_loads_that_command_alone() -> None:
    found = loaded("verify", "--help")
    assert "registry.cli.verify" in found and not found & {"registry.cli.audit", "registry.api", "rich", "yaml"}


NEEDLESS = {
    "torch", "transformers", "mlflow", "dvc", "huggingface_hub", "httpx2", "model_signing", "rich", "pandas",
    "boto3", "botocore", "sigstore.sign", "sigstore._internal.rekor.client_v2", "registry.attest.sigstore.sign",
    "registry.hub.client", "registry.verification.slsa_summary", "registry.release", "registry.audit",
}  # fmt: skip
"""What signing, a Hub, or another command needs, and verifying what lies here does not."""


@pytest.mark.parametrize(("name", "more"), [("trained", set()), ("key-stamped", {"sigstore", "requests", "tuf"})])
def test_verifying_loads_nothing_that_it_does_not_need(tmp_path: Path, name: str, more: set[str]) -> None:
    golden = next(golden for golden in goldens() if golden.name == f"v1/{name}")
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(canonical.dumps(golden.policy.as_json()))
    with golden.unpacked() as root:
        found = loaded("verify", str(root), "--policy", str(policy), "--trusted-root", str(golden.trusted_root))
    assert "registry.verification.steps" in found and not found & (NEEDLESS | more)


@pytest.mark.parametrize(
    ("words", "option", "kinds"),
    [
        ("verify", "--digest", get_args(DigestMode)),
        ("audit replay", "--environment", get_args(EnvironmentKind)),
        ("audit rebuild", "--environment", get_args(EnvironmentKind)),
        ("release status", "--say", get_args(Standing)),
        ("hub token create", "--role", tuple(Role)),
        ("hub org member", "--role", (*NamespaceRole, "none")),
    ],
)
def test_what_can_be_chosen_is_listed_completed_and_all_there_is(
    words: str, option: str, kinds: tuple[str, ...]
) -> None:
    (found,) = [parameter for parameter in at(words).params if option in parameter.opts]
    assert get_args(found.type_descriptor.annotation) == tuple(str(kind) for kind in kinds)
    assert completed(f"{words} {option}", "") == [str(kind) for kind in kinds]
    done = subprocess.run([GLASSHOUSE, *words.split(), option, "nonesuch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and str(kinds[0]) in done.stderr


def test_commands_are_completed_but_for_those_that_are_called_something_else_now() -> None:
    assert completed("", "ver") == ["verify"]
    assert completed("hub", "") == ["push", "pull", "usage", "log", "user", "org", "token"]
    assert "token" not in completed("", "") and {"release", "audit"} <= set(completed("", ""))


def test_what_a_command_is_there_to_write_goes_to_output_and_its_old_names_are_understood() -> None:
    writing = [command for command in every() if OUTPUT in set(options(command))]
    assert len(writing) >= 6
    for command in every():
        assert not set(options(command)) & set(RENAMED)
    for command in writing:
        context = command.make_context(command.name, [], resilient_parsing=True)
        parser = command.make_parser(context)
        for name in (OUTPUT, *RENAMED):
            given, _, _ = parser.parse_args([name, "there"])
            assert "there" in given.values()
    done = subprocess.run(
        [GLASSHOUSE, "verify", "nowhere", "--key", "none.pem", "--into", "d"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "none.pem cannot be read" in done.stderr


def test_a_token_is_made_by_its_old_name_too(tmp_path: Path) -> None:
    for words in (("hub", "token"), ("token",)):
        done = subprocess.run(
            [GLASSHOUSE, *words, "create", words[0], "--root", tmp_path], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("hf_")


def at(words: str) -> Any:
    command = ROOT
    for word in words.split():
        command = command.commands[word]
    return command


def completed(words: str, begun: str) -> list[str]:
    """What bash is offered after `glasshouse WORDS`, for a word that begins so."""
    line = ["glasshouse", *words.split()]
    asked = {
        "COMP_WORDS": " ".join([*line, begun]),
        "COMP_CWORD": str(len(line)),
        "_GLASSHOUSE_COMPLETE": "complete_bash",
    }
    done = subprocess.run([GLASSHOUSE], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.stdout.split()
