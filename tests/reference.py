"""`make docs`: the parts of docs/ that are made from the code they describe. A test holds docs/ to it."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipelines.params import Params
from registry.attest import namespace
from registry.attest.policy import Policy
from registry.cli import app
from registry.provenance import slsa
from registry.records.kinds import KINDS
from registry.release.config import ReleaseConfig
from tests.docs import console, house, library
from tests.docs.picture import picture
from tests.kinds import tried
from tests.registry.attest.test_predicates import EXAMPLES as PREDICATE_EXAMPLES

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "reference"
FIRST = DOCS / "tutorials" / "verify.md"
ADOPT = DOCS / "how-to" / "adopt.md"
ARCHITECTURE = DOCS / "architecture.md"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMAND = """# The command

<!-- Made by `make docs` from the command itself; edits here are lost. -->

With `--json` a command prints one JSON document on standard output. Words and progress go to standard error. An error
is `{"error": {"code", "message", "mend"}}`.

| exit code | meaning |
|---|---|
| 0 | it holds, or it is done |
| 1 | it was checked and does not hold |
| 2 | bad input or usage |
| 3 | it could not be checked |
| 4 | credentials are needed |
| 130 | cancelled |

A fault that nobody expected ends in 3, too. `GLASSHOUSE_TRACEBACK=1` shows where it happened.

`glasshouse --install-completion` teaches your shell the commands, their options, and what can be chosen.
"""


PARAMS = """# params.yaml

<!-- Made by `make docs` from the models that read params.yaml; edits here are lost. -->

Every stage reads its section when it starts. It refuses keys that it does not know, numbers out of bounds, and YAML's
tricks. `dvc repro` runs every stage again that a change touches.
"""


POLICY = """# policy.yaml

<!-- Made by `make docs` from the models that read it; edits here are lost. -->

A policy says what a release must show before it is trusted. `glasshouse verify REF --policy policy.yaml` reads it, and
`glasshouse trust pin REF` writes a first one. Flags (`--identity` with `--issuer` or `--ca`, or `--key`) are a policy
of one line, with one signer: two of them together are a usage error. A policy must name a signer. What else it does
not mention, nobody asks for. Unknown keys are refused.
[policy.schema.json](policy.schema.json) is its JSON Schema.

```yaml
schema: glasshouse.policy/v1
signers:
  - kind: ci
    issuer: https://token.actions.githubusercontent.com
    repository: https://github.com/org/model
    workflow: .github/workflows/release.yml
  - {kind: identity, identity: maintainer@example.org, issuer: https://accounts.google.com}
  - kind: key
    pem: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErNSHOJnIJxADAT4vfKdLf82y0MWD
      f+JaDfqY68mG1164v2b+M2Wlp9tjdzPKfu3ZRpBnoaZc0EDpeK2j9rvLJg==
      -----END PUBLIC KEY-----
  - kind: certificate
    identity: release@site.example
    authorities: |
      -----BEGIN CERTIFICATE-----
      MIIB2jCCAX+gAwIBAgIUGIWLVgzd3+/U4MyEF7nBaV2UK4UwCgYIKoZIzj0EAwIw
      OjEkMCIGA1UECgwbdGhyb3dhd2F5IFNpZ3N0b3JlIGluc3RhbmNlMRIwEAYDVQQD
      DAlzaXRlLXJvb3QwHhcNMjYxMTI0MDgxMDMwWhcNMzYxMTIyMDgxMDMwWjA6MSQw
      IgYDVQQKDBt0aHJvd2F3YXkgU2lnc3RvcmUgaW5zdGFuY2UxEjAQBgNVBAMMCXNp
      dGUtcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKHlT1NXe0uL/yu3GxUo
      g55Z8uHKemFsEMOxz/rt9RNnQ2hsK+ZBPzGORQQz3uDVowmGi7nc8Jjo1j6w5uH9
      wq2jYzBhMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFBhdaettPKnTq057awk1
      CCBO7asHMB8GA1UdIwQYMBaAFBhdaettPKnTq057awk1CCBO7asHMA4GA1UdDwEB
      /wQEAwIBBjAKBggqhkjOPQQDAgNJADBGAiEAkjRKgYgOGRUR0AUgWnvrcYKCqgZH
      iaDh1tUPvyel+IACIQDffKroRhBci/6JJEzNJq0v6xrlH7tzD9336cejh7+f1A==
      -----END CERTIFICATE-----
threshold: 2
attestations: [openness]
openness: III
licenses:
  weights: [Apache-2.0]
  data: [Apache-2.0, MIT, CC0-1.0]
evaluation:
  bitsPerByte: {max: 2.0}
rebuilders:
  atLeast: 1
  verdict: WITHIN
  maxTolerance: 0.001
  environments: [fresh]
  signers:
    - {kind: pattern, pattern: '*@audit.example', issuer: https://accounts.google.com}
status: {maxAgeDays: 30}
promotion:
  figures:
    bitsPerByte: {better: lower, maxWorse: 0.02}
  approvals: {atLeast: 2}
```

## When a certificate ends, or is taken back

```yaml
  - kind: certificate
    identity: release@site.example
    revocationLists: [site.crl, root.crl]
    timestampAuthorities: |
      (the root of a timestamp authority, in PEM)
    authorities: |
      (the authority's certificate, in PEM)
```

`site.crl` lies beside policy.yaml. Put a newer one there when there is one. The flags for the same are `--ca`, `--crl`
(once for each list) and `--timestamp-ca`.

A timestamp *counts* if all of this holds: it is of this very signature; it was made under one of the roots named here,
with a certificate for timestamps that was valid then; it is not of the future; no list names one of its certificates.

| the certificate | PASS with | otherwise |
|---|---|---|
| has ended, or not begun | a timestamp that counts, from when it was valid (give or take its accuracy) | FAIL |
| is named by a list of its issuer, however old | a timestamp that counts, from before it was revoked | FAIL |
| is named by no list, and lists were given | a current list of its issuer: today's, or that of its last day | UNKNOWN |
| is valid, and no lists were given | nothing more | |

Each certificate from the signer's up to the authority is judged so. The authority's own is not. A rule is judged by
its own lists and timestamps, never by another rule's. If two rules name the same holder, one that holds is enough. The
lists may not tell of the signer of a status, or of a further signature. That is UNKNOWN too, unless it makes no
difference.

A certificate counts as revoked from the date in the list, or from the day since when the key is thought to be stolen,
whichever is earlier. A list is not current if it is too old or too new, if the issuer's key did not sign it, or if it
is of another issuer. Later lists can leave out a certificate that has ended. So the list of its last day counts: keep
it.

A list has at most 4 MB, is complete (no delta, no part), says its end, and is not signed by way of SHA-1. Any other
list is an error of the policy (exit code 2). So is a file that is not a list. A timestamp of *another* signature, or
one that cannot be read, is FAIL, whoever is trusted. A key has no end, so its timestamps only tell when it signed.

## How each part is judged

| part | PASS | FAIL | UNKNOWN |
|---|---|---|---|
| signers, threshold | enough different ones signed it | too few did | no verified release statement |
| attestations | listed, and verified | not there, or not verified | no verified release statement |
| openness | the signed class is good enough | it is worse, or the files show less | no signed openness statement |
| licenses | every licence found is in the list | one is not | no verified record |
| evaluation | the figure is within the bounds | it is not | there is no such figure |
| rebuilders | enough of them came to the verdict | one of them found it DIFFERENT | too few have spoken |
| status | active or superseded, and fresh | yanked, a fork, or gone back | no word, too old or missing; a candidate |
| promotion | nobody looks at it but `glasshouse release promote` | | |

A rule counts once, however many people fit it, and a person counts once, however many rules fit them. One person is:
one name, in whichever capitals and by whichever authority; one key, bare or in a certificate; the pipelines of one
repository.
"""

PREDICATES = f"""# What is signed

<!-- Made by `make docs` from the models that read and write it; edits here are lost. -->

Every attestation is an [in-toto statement](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) in a
DSSE envelope, in a Sigstore bundle (v0.3). It has subjects, by name and SHA-256, and one of these predicates. Unknown
fields are refused. A change of meaning gets a new version in the URI. What is optional and not known is left out.
[predicates.schema.json](predicates.schema.json) holds the JSON Schema of each, by its URI. Beside them stands
`model.sig`. Its predicate is that of OpenSSF Model Signing.

A URI of ours is a name, which nobody fetches. It is written under `{namespace.WRITTEN}`, and read alike, for ever,
under each of {" and ".join(f"`{prefix}`" for prefix in namespace.PREFIXES)}.

| attestation | subjects | predicate |
|---|---|---|
| `provenance` | the weights | Provenance, of build type `{slsa.BUILD_TYPE}` |
| `stage-NAME` | what the stage wrote | Provenance, of build type `{slsa.STAGE_TYPE}` |
| `data` | data-manifest.json and its rows | DataManifest |
| `checkpoints` | checkpoints.json | Checkpoints |
| `evaluation` | the weights | TestResult |
| `card` | README.md | ModelCard |
| `openness` | openness.json | Openness |
| `release` | all files together | Release |
| an auditor's, or a later word | the release statement's subject | Rebuild, Replay, Status |

## The build types

Both name the builder `{slsa.BUILDER}`: the maintainer, on a machine of theirs. The first
resolved dependency is the git commit. It is called `source`.

**`{slsa.BUILD_TYPE}`** is all of `dvc repro`. `externalParameters`: `command`, and `params`,
the whole of params.yaml. Dependencies: `data-manifest`, `pipeline` (dvc.yaml), `params`, `lock`, `requirements`,
`environment`, each with the path in the release as its `uri`. Those of stages in a folder are called
`pipeline:FOLDER`, `lock:FOLDER`, `params:FOLDER`.

**`{slsa.STAGE_TYPE}`** is one stage of dvc.yaml.

- `externalParameters`: `stage` is its address from the project's root, as DVC writes it (`train`,
  `models/dvc.yaml:train`). `command` is its command in dvc.lock; several stand each on a line.
  `params` are the settings that it depends on, by file and key.
- `internalParameters`: `evidence`. `ran`: the outputs were made by this run, in the working copy that the release was
  made from. `restored`: DVC took the outputs from a cache or a remote, and with them the record of the run that made
  them. `unrecorded`: nobody measured, and the digests are those at the release.
- `resolvedDependencies`: what dvc.yaml says that it reads, by the path in the project. Each has the SHA-256 that it had
  before the first command started and after the last ended. What lies outside the project, a URL or a path, comes last:
  it has no digest, and the annotation `outside` with what DVC goes by.
- `runDetails.metadata.invocationId`: the SHA-256 of the canonical JSON of the run's record. It is left out if there is
  no record.

A name that ends in a slash is a directory. Its SHA-256 is that of the listing which this prints in it (in-toto's
`dirHash`), so anybody can compute it again:

    find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum

Up to 1000 files inside are listed: those of a dependency in its annotation `files`, those of an output as subjects of
their own, right after it. What DVC ignores (.dvcignore) does not count. A dependency with the annotation `from: source`
is in the git commit, with the same bytes.

For a larger directory the release has the listing itself, below `provenance/listings/`, in a folder that is named by
the directory's digest. It is cut at ends of lines into parts of 8 MiB at most. The parts, one after the other, have
that digest. So `cat provenance/listings/DIGEST/*.txt | sha256sum --check`, run in the directory, checks its files.
`verify` reads the parts one by one. It fails where one is missing, changed, repeated or moved, and where no stage
read or wrote a directory that is listed. Openness, `glasshouse lineage` and audits read them, too. A release from
before has no listings. What one stage wrote in such a directory, and another read, is then unknown. Where an audit
depends on it, the audit says that it cannot tell (exit code 3).

## The evaluation

There are two tests. `bitsPerByte < baselines.uniform.bitsPerByte` means better than guessing.
`bitsPerByte < baselines.unigram.bitsPerByte` means better than counting tokens. The result is FAILED if the model fails
the first, and WARNED if it fails only the second. The figures (`metrics`, `baselines`, `validation`, as in
evaluation.json) are annotations of the descriptor of `provenance/evaluation.json`, because test-result has no field for
them.
"""


SITE = "https://OWNER.github.io/glasshouse/"
"""Where the pages will stand. OWNER is filled in by whoever claims the namespace."""
CLAIM = """# https://w3id.org/glasshouse/: the names of what Glasshouse signs (in-toto predicates and build types).
# Contact: see README.md. OWNER is the account that holds the project.
Options +FollowSymLinks
RewriteEngine on
"""


def main() -> None:
    """Write the pages, or print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the files instead of printing them")
    write = parser.parse_args().write
    for path, render in PAGES.items():
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render())
        else:
            print(render())


def command() -> str:
    """docs/reference/command.md."""
    return COMMAND + "".join(_section(found, path) for found, path in commands())


def params() -> str:
    """docs/reference/params.md."""
    models = (*_models(Params, ""), *_models(ReleaseConfig, "release"))
    return PARAMS + "".join(_model(model, path) for model, path in models)


def adopt() -> str:
    """docs/how-to/adopt.md, its table of kinds made anew."""
    before, _, rest = ADOPT.read_text().partition("<!-- kinds:")
    note, after = rest.partition("-->")[0], rest.partition("<!-- end of kinds -->")[2]
    endings = {kind.name: ", ".join(filter(None, kind.endings)) or "any that is known" for kind in KINDS}
    rows = "".join(
        f"| {kind.title} | `{kind.name}` | {kind.told_by} | {endings[kind.name]} | {tried.versions(kind.name)} |\n"
        for kind in KINDS
    )
    table = f"| kind | `kind` | told by | its weights | tried with |\n|---|---|---|---|---|\n{rows}"
    return f"{before}<!-- kinds:{note}-->\n{table}<!-- end of kinds -->{after}"


def policy() -> str:
    """docs/reference/policy.md."""
    return POLICY + _sections(Policy)


def predicates() -> str:
    """docs/reference/predicates.md: each predicate field by field, with an example."""
    text = PREDICATES
    for example in PREDICATE_EXAMPLES:
        body = json.dumps(example.as_json(), indent=2, ensure_ascii=False)
        parts = _sections(type(example)).replace("## The whole file", f"## {type(example).__name__}", 1)
        text += f"{parts}\nType: `{example.TYPE}`. Example:\n\n```json\n{body}\n```\n"
    return text


def claim() -> str:
    """docs/w3id/glasshouse/.htaccess: each of our URIs leads to its section of the page above."""
    sections = {example.TYPE: type(example).__name__.lower() for example in PREDICATE_EXAMPLES}
    sections |= dict.fromkeys((slsa.BUILD_TYPE, slsa.STAGE_TYPE, slsa.BUILDER), "the-build-types")
    rules = (
        f"RewriteRule ^{uri.removeprefix(namespace.WRITTEN)}$ {SITE}reference/predicates/#{section} [R=302,NE,L]\n"
        for uri, section in sorted(sections.items())
        if uri.startswith(namespace.WRITTEN)
    )
    return f"{CLAIM}{''.join(rules)}RewriteRule ^$ {SITE} [R=302,L]\n"


def policy_schema() -> str:
    """docs/reference/policy.schema.json."""
    return _json({"$schema": DIALECT, "title": "policy.yaml", **Policy.model_json_schema(by_alias=True)})


def predicate_schemas() -> str:
    """docs/reference/predicates.schema.json."""
    kinds = {example.TYPE: type(example) for example in PREDICATE_EXAMPLES}
    return _json({uri: {"$schema": DIALECT, **kind.model_json_schema(by_alias=True)} for uri, kind in kinds.items()})


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _sections(model: type[BaseModel]) -> str:
    """The model and all that its fields hold, each once, where it is first met."""
    first: dict[type[BaseModel], str] = {}
    for found, path in _models(model, ""):
        first.setdefault(found, path)
    return "".join(_model(found, path) for found, path in first.items())


def commands() -> Iterator[tuple[Any, str]]:
    """(command, its words) of every command that does something, in the order of the help."""
    waiting = [(typer.main.get_command(app), "glasshouse")]
    while waiting:
        found, path = waiting.pop(0)
        children = getattr(found, "commands", {})
        waiting += [(child, f"{path} {name}") for name, child in children.items() if not child.hidden]
        if not children:
            yield found, path


def _section(found: Any, path: str) -> str:
    rows = "".join(f"| {_names(parameter)} | {_help(parameter)} |\n" for parameter in found.params)
    words = " ".join(found.help.split())
    return f"\n## {path}\n\n{words}\n\n| | |\n|---|---|\n{rows}\n{found.epilog}\n"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _help(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    if get_origin(kind := parameter.type_descriptor.annotation) is Literal:
        text += f" One of {', '.join(f'`{choice}`' for choice in get_args(kind))}."
    if parameter.required:
        text += " Required."
    if envvar := getattr(parameter, "envvar", None):
        text += f" From `{envvar}` where it is set."
    return re.sub(r"\|", r"\\|", text)


def _models(model: type[BaseModel], path: str) -> Iterator[tuple[type[BaseModel], str]]:
    """(model, dotted path) of `model` and of every model its fields hold, outermost first."""
    yield model, path
    for name, field in model.model_fields.items():
        for inner in _inner(field.annotation):
            yield from _models(inner, f"{path}.{name}" if path else name)


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _inner(argument)


def _model(model: type[BaseModel], path: str) -> str:
    words = _docstrings(model)
    rows = ""
    for name, field in model.model_fields.items():
        default = "" if field.default is PydanticUndefined else f" Default: `{field.default!r}`."
        rows += f"| `{field.alias or name}` | {words.get(name, '')}{default} |\n"
    title = f"{path}: {model.__name__}" if path else "The whole file"
    return f"\n## {title}\n\n{' '.join((model.__doc__ or '').split())}\n\n| | |\n|---|---|\n{rows}"


def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """The string under each field, by the field's name; those of its bases too."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if not (issubclass(kind, BaseModel) and kind.__module__.startswith(("pipelines", "registry"))):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = " ".join(words.split()).replace("|", "\\|")
    return found


PAGES: Mapping[Path, Callable[[], str]] = {
    DOCS / "assets" / "picture.svg": picture,
    ARCHITECTURE: lambda: house.renewed(ARCHITECTURE),
    FIRST: lambda: console.renewed(FIRST),
    ADOPT: adopt,
    FOLDER / "command.md": command,
    FOLDER / "params.md": params,
    FOLDER / "policy.md": policy,
    FOLDER / "python.md": library.page,
    FOLDER / "policy.schema.json": policy_schema,
    FOLDER / "predicates.md": predicates,
    FOLDER / "predicates.schema.json": predicate_schemas,
    DOCS / "w3id" / "glasshouse" / ".htaccess": claim,
}


if __name__ == "__main__":
    main()
