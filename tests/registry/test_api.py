"""What programs import: its names, its types, its examples, and that nothing is loaded before it is used."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from registry import api
from registry.errors import InputError
from tests.published import World, published

ROOT = Path(__file__).resolve().parents[2]

CLASSES = {
    "CertificateHolder", "CertificateSigner", "Check", "CiWorkflow", "CredentialsError", "DigestMismatch",
    "Established", "FailedReport", "Fault", "Finding", "GlasshouseError", "IdentityPattern", "InputError", "KeySigner",
    "Level", "LintReport", "Malformed", "Policy", "PublicKey", "Refused", "Report", "SignatureError", "Signer",
    "SignerError", "SigstoreIdentity", "SigstoreSigner", "Step", "StepSummary", "TimestampService", "Unavailable",
    "UnknownReport", "Unsupported", "Verdict", "VerificationError",
}  # fmt: skip
FUNCTIONS = {
    "fetch": "(ref: 'str | Path', policy: 'Policy', *, trust: 'Path | None' = None, "
    "attestations: 'Iterable[Path]' = (), companion: 'str | None' = None, into: 'Path | None' = None, "
    "hf_cache: 'bool' = False, trust_cache: 'bool' = False, bases: 'bool' = False, "
    "base_policy: 'Policy | None' = None, summary: 'Path | None' = None, "
    "summary_signer: 'Signer | None' = None, endpoint: 'str | None' = None, "
    "progress: 'Progress | None' = None) -> 'Path'",
    "lint": "(ref: 'str', *, endpoint: 'str | None' = None) -> 'LintReport'",
    "publish": "(folder: 'Path', *, endpoint: 'str | None' = None, progress: 'Progress | None' = None) -> 'str'",
    "sign": "(folder: 'Path', signer: 'Signer') -> 'None'",
    "verify": "(ref: 'str | Path', policy: 'Policy', *, trust: 'Path | None' = None, "
    "attestations: 'Iterable[Path]' = (), companions: 'bool' = False, bases: 'bool' = False, "
    "base_policy: 'Policy | None' = None, digest: 'DigestMode' = 'blake3', "
    "into: 'Path | None' = None, hf_cache: 'bool' = False, summary: 'Path | None' = None, "
    "summary_signer: 'Signer | None' = None, endpoint: 'str | None' = None, "
    "progress: 'Progress | None' = None) -> 'Report'",
}
"""What other people's programs rely on. A change here breaks them: it is told in docs/CHANGELOG.md."""


def test_the_public_names_and_signatures_are_these() -> None:
    assert set(api.__all__) == CLASSES | FUNCTIONS.keys()
    assert {name: str(inspect.signature(getattr(api, name))) for name in FUNCTIONS} == FUNCTIONS
    assert all(inspect.isclass(getattr(api, name)) for name in CLASSES)
    assert all(inspect.getdoc(getattr(api, name)) for name in api.__all__)
    assert not hasattr(api, "verfy")


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    blocks = [node for node in ast.parse(Path(api.__file__).read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {(node.module, alias.name) for node in imports for alias in node.names}
    loaded = {(home, name) for home, names in api._HOMES.items() for name in names}
    private = {"Progress", "DigestMode", "FollowBases"}  # in annotations alone
    assert {(home, name) for home, name in seen if name not in private} == loaded


def test_importing_loads_nothing_of_it() -> None:
    code = "import sys, glasshouse; print(sorted(n for n in sys.modules if n.partition('.')[0] in %r))"
    heavy = ("registry", "pydantic", "cryptography", "sigstore", "huggingface_hub", "typer")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_one_of_glasshouse() -> None:
    code = (
        "from glasshouse import *; import glasshouse, registry.api as a; print(all(globals()[n] is getattr(a, n) for n"
    )
    code += " in a.__all__), set(a.__all__) <= set(dir(glasshouse)), hasattr(glasshouse, 'import_module'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]


# Types, as a program of somebody else's is checked

CLIENT = '''
from pathlib import Path
import glasshouse

def verdict(folder: Path, pem: str) -> glasshouse.Verdict:
    """As a careful client writes it."""
    policy = glasshouse.Policy(signers=(glasshouse.PublicKey(pem=pem),))
    try:
        report: glasshouse.Report = glasshouse.verify(folder, policy)
    except glasshouse.Unavailable as problem:
        raise SystemExit(problem.mend) from problem
    glasshouse.sign(folder, glasshouse.KeySigner(Path("private.pem")))
    levels: list[glasshouse.Level] = [finding.level for finding in glasshouse.lint("hf://org/model").findings]
    return report.checks[0].verdict if levels else report.verdict
'''
MISTAKES = """
import glasshouse

report = glasshouse.verfy("model")
glasshouse.verify("model", "policy.yaml")
glasshouse.lint("hf://org/model").findings[0].level + 1
"""


def test_a_client_is_checked_by_mypy(tmp_path: Path) -> None:
    for name, text in (("client.py", CLIENT), ("mistakes.py", MISTAKES)):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary"]  # and its cache
    command += [str(tmp_path / "client.py"), str(tmp_path / "mistakes.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.rpartition("/")[2] for line in done.stdout.splitlines() if ": error:" in line]
    assert done.returncode == 1 and "client.py" not in done.stdout, done.stdout + done.stderr
    assert [line.split(":")[:2] for line in lines] == [["mistakes.py", str(number)] for number in (4, 5, 6)]
    assert [line.rpartition("[")[2] for line in lines] == ["attr-defined]", "arg-type]", "operator]"]


# Examples, run as they are written


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Where the examples run."""
    with published(tmp_path_factory.mktemp("examples")) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        yield made


EXAMPLES = doctest.DocTestFinder(recurse=False).find(api, "glasshouse")
EXAMPLES += [
    test for name in FUNCTIONS for test in doctest.DocTestFinder().find(getattr(api, name), f"glasshouse.{name}")
]


TUTORIAL = ROOT / "docs" / "tutorials" / "python.md"
EXAMPLES.append(doctest.DocTestParser().get_doctest(TUTORIAL.read_text().replace("```", ""), {}, "python.md", None, 0))


def test_every_function_has_an_example() -> None:
    assert [test.name for test in EXAMPLES if test.examples] == [
        "glasshouse",
        *(f"glasshouse.{name}" for name in FUNCTIONS),
        "python.md",
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_it_shows(example: doctest.DocTest, world: World) -> None:
    example.globs = {"Path": Path, "glasshouse": import_module("glasshouse"), "policy": world.policy}
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)


def test_a_directory_is_not_linted() -> None:
    with pytest.raises(InputError, match="is a directory"):
        api.lint("model")
