"""The parsers that read what others wrote, each with valid inputs to begin from.

What is to be read from a file is laid down in a scratch folder first, under the name that the product expects.
"""

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251 - to make what is looked at
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack, chdir, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

from huggingface_hub.utils import _http

from pipelines import local_tasks
from registry import canonical, strict_yaml, suffixes, tensors
from registry.attest import oms, predicates, timestamp, x509_path
from registry.attest.bundle import Bundle
from registry.attest.policy import Policy
from registry.attest.signers import load_public_key
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.audit import metrics, remeasured
from registry.audit.verdict_file import VerdictFile
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError
from registry.files import read_bytes
from registry.formats import carried_code
from registry.formats.known import identify
from registry.hub import metadata, reference, transfer
from registry.hub.client import HubClient, bounds
from registry.lint import reading, rules
from registry.manifest import Manifest
from registry.openness import energy
from registry.openness.cards.figures import read as read_figures
from registry.openness.documents import agreement, every
from registry.openness.told import Told
from registry.project import dvc_lock, dvc_yaml
from registry.records import data_manifest, layout, listing, package_locks, search_index, token_counts, tokens
from registry.records.base_record import Base
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation, HarnessGroup
from registry.records.openness_record import OpennessRecord
from registry.records.project import Project
from registry.records.record import Record
from registry.records.release_record import ReleaseRecord
from registry.records.run import Stages
from registry.records.search_index import IndexFile, SearchIndex, TextPart
from registry.records.tokens import Tokens
from registry.verification.inclusion import Proof
from tests import harness_tasks, lying_hub, verdict_files
from tests.goldens.make_releases import FOLDER, goldens
from tests.registry.formats.test_skops import scaled
from tests.registry.openness.test_energy import CSV
from tests.registry.records import test_package_locks, test_token_counts
from tests.registry.records.test_row_table import table_of

RECORDS: dict[str, type[Record]] = {
    layout.RECORD: ReleaseRecord, layout.CHECKPOINTS: Chain, layout.ENVIRONMENT: Environment, layout.TOKENS: Tokens,
    layout.EVALUATION: Evaluation, layout.HARNESS: HarnessEvaluation, layout.STAGES: Stages, layout.BASE: Base,
    layout.OPENNESS: OpennessRecord, layout.SEARCH: SearchIndex,
}  # fmt: skip
ATTESTATIONS = (
    predicates.DataManifest, predicates.Checkpoints, predicates.ModelCard, predicates.Release, predicates.Openness,
    predicates.Rebuild, predicates.Status,
)  # fmt: skip
DAY = "2026-01-01T00:00:00Z"
ZERO = "0" * 64
EU = {"provider": "Somebody", "modalities": {"text": {"amount": 9}}, "crawled": {"used": False, "domains": ["a.b"]}}
"""What a provider can say."""


@dataclass(frozen=True)
class Parser:
    """What is fed.

    seeds: gives valid inputs.  parse: takes an input, and a folder that it may write to; raises GlasshouseError for a
    bad one.
    """

    seeds: Callable[[], list[bytes]]
    parse: Callable[[bytes, Path], object]


PARSERS: dict[str, Parser] = {}
"""Each by its name."""


def parser(seeds: Callable[[], Iterable[bytes]], name: str = "") -> Callable[[Callable[[bytes, Path], object]], None]:
    """Enter a parser under `name`, or that of its function."""

    def enter(parse: Callable[[bytes, Path], object]) -> None:
        PARSERS[name or parse.__name__] = Parser(lambda: list(dict.fromkeys(seeds())), parse)

    return enter


# Valid inputs: what stands in the golden releases, and what libraries write.


@cache
def _released(which: str = "") -> dict[str, bytes]:
    """The files of the golden releases by release and path, `trained/config.json`; of one, where it is named."""
    found = {}
    for golden in goldens():
        name = golden.name.rpartition("/")[2]
        with tarfile.open(golden.archive) as archive:
            for row in archive:
                stream = archive.extractfile(row) if name.startswith(which) else None
                if stream is not None:
                    found[f"{name}/{row.name}"] = stream.read()
    return found


def _ending(*ends: str) -> Callable[[], Iterable[bytes]]:
    return lambda: [data for path, data in _released().items() if path.endswith(ends)]


def _bundles() -> list[bytes]:
    return [data for data in _ending(suffixes.BUNDLE, layout.SIGNATURE)() if len(data) < 10_000]


def _statements() -> list[bytes]:
    subject = Subject("org/model@1.0.0", ZERO)
    said = [
        predicates.Status(standing="active", reason="Good.", stated_at=DAY, number=2, previous=ZERO, valid_until=DAY),
        predicates.Status(standing="yanked", reason="It is bad.", stated_at=DAY, successor="1.0.1"),
        predicates.Rebuild(
            verdict="BITWISE", reason=f"The same; details sha256:{canonical.digest({})}", profile="cpu", machine="a",
            started_at=DAY, finished_at=DAY,
            source="c" * 40, environment="fresh", tolerance=0.0,
            outputs=(predicates.Rebuilt(path="model.safetensors", verdict="BITWISE", sha256=ZERO),),
        ),
    ]  # fmt: skip
    payloads = [Bundle.parse(data).envelope.payload for data in _bundles()]
    return [*payloads, *(one.about([subject]).to_bytes() for one in said)]


def _policies() -> list[bytes]:
    signers = _signers()
    more = {
        "licenses": {"weights": ["Apache-2.0"], "data": ["MIT"]}, "evaluation": {"bitsPerByte": {"max": 3}},
        "openness": "III", "attestations": ["card"], "status": {"maxAgeDays": 30, "signers": signers[:1]},
        "rebuilders": {"threshold": 1, "signers": signers[:1]},
    }  # fmt: skip
    return [json.dumps({"signers": [rule]} | extra).encode() for rule in signers for extra in ({}, more)]


def _put(folder: Path, name: str, data: bytes) -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


# The ground.


@parser(_ending(".json", ".jsonl"))
def json_documents(data: bytes, folder: Path) -> None:
    """Strict JSON, and back."""
    value = canonical.parse(data)
    canonical.dumps(value)


@parser(_ending(".yaml", "dvc.lock"))
def yaml_documents(data: bytes, folder: Path) -> None:
    """Strict YAML, both ways."""
    for one_way in (False, True):
        try:
            strict_yaml.parse(data, one_way=one_way)
        except GlasshouseError:
            if one_way:
                raise


@parser(lambda: [json.dumps(Manifest.of_directory(FOLDER).as_json()).encode()])
def manifests(data: bytes, folder: Path) -> None:
    """A list of files."""
    Manifest.from_json(canonical.parse(data))


# Who says so.


@cache
def _verifiers() -> tuple[Verifier, ...]:
    return tuple(Verifier(golden.policy, golden.trusted_root, now=golden.now) for golden in goldens())


@parser(_bundles)
def bundles(data: bytes, folder: Path) -> None:
    """A bundle, verified by each way of signing; `model.sig`, too."""
    Statement.parse(Bundle.parse(data).envelope.payload)
    for verifier in _verifiers():
        for verify in (verifier.verify, partial(oms.verify, verifier=verifier), verifier.trust.see):
            with suppress(GlasshouseError):
                verify(data)


@cache
def _stamped() -> Bundle:
    return next(bundle for data in _bundles() if (bundle := Bundle.parse(data)).stamps)


@parser(lambda: _stamped().stamps)
def timestamps(data: bytes, folder: Path) -> None:
    """An RFC 3161 timestamp."""
    timestamp.read(data, _stamped().envelope.signature)


def _signers() -> list[dict[str, str]]:
    return [rule for golden in goldens() for rule in json.loads(golden.how_path.read_bytes())["policy"]["signers"]]


def _certificates() -> list[bytes]:
    return [
        rule[kind].encode() for rule in _signers() for kind in ("authorities", "timestampAuthorities") if kind in rule
    ]


@parser(_certificates)
def certificates(data: bytes, folder: Path) -> None:
    """Certificates in PEM, and whom each names."""
    for one in x509_path.load(data.decode("utf-8", "surrogateescape")):
        with suppress(*x509_path.UNREADABLE):
            x509_path.identity(one)


@parser(
    lambda: [
        rule["pem"].encode() for policy in map(json.loads, _policies()) for rule in policy["signers"] if "pem" in rule
    ]
)
def keys(data: bytes, folder: Path) -> None:
    """A public key in PEM."""
    load_public_key(data.decode("utf-8", "surrogateescape"))


@parser(_statements)
def statements(data: bytes, folder: Path) -> None:
    """A statement, and whatever it may be taken for: status words and rebuilds are among them."""
    statement = Statement.parse(data)
    for kind in ATTESTATIONS:
        if kind.is_of(statement):
            kind.of(statement)
    if statement.predicate_type == oms.PREDICATE_TYPE:
        oms.resources(statement)
    statement.to_bytes()


@parser(_policies)
def policies(data: bytes, folder: Path) -> None:
    """A policy in YAML."""
    str(Policy.load(_put(folder, "policy.yaml", data)))


# Records.


def _records() -> list[bytes]:
    """Those of the golden releases, and of the kinds that none of them has."""
    size = len(PART.text)
    sizes = {"documents": len(PART.documents), "suffixes": len(PART.suffixes), "text": size}
    files = [IndexFile(path=search_index.name_of(kind, 0), sha256=ZERO, size=sizes[kind]) for kind in sizes]
    task = harness_tasks.task("gsm8k", harness_tasks.figure(0.5, "exact_match", "strict"), data=harness_tasks.HUB)
    group = HarnessGroup(group="mmlu", figures=(harness_tasks.figure(),))
    more = (
        harness_tasks.record(harness_tasks.task(), task, groups=(group,)),
        Base(repo="org/base", commit="b" * 40, sha256=ZERO, files=3, size=99, verification=None),
        SearchIndex(tokens=ZERO, documents=2, files=tuple(files)),
    )
    return [*_ending(*RECORDS)(), *(one.to_bytes() for one in more)]


@parser(_records)
def records(data: bytes, folder: Path) -> None:
    """A record: the one that its schema names, else any of them."""
    value = canonical.parse(data)
    said = value.get("schema") if isinstance(value, dict) else None
    kinds = [
        kind for kind in RECORDS.values() if said and getattr(kind.model_fields.get("schema_"), "default", "") == said
    ]
    kind = kinds[0] if kinds else list(RECORDS.values())[len(data) % len(RECORDS)]
    kind.from_json(value, name="record").to_bytes()


@parser(_ending(layout.DATA_ROWS))
def data_rows(data: bytes, folder: Path) -> None:
    """The rows of a data manifest."""
    for _ in data_manifest.iter_rows(_put(folder, "rows.jsonl", data)):
        pass


@parser(lambda: [f"{ZERO}  a b/c\n{ZERO}  é\n".encode(), f"provenance/listings/{ZERO}/0001.txt\n".encode()])
def listings(data: bytes, folder: Path) -> None:
    """A listing in one part and in two, whose rows are its very bytes; and its lines as the places of parts."""
    digest, half = sha256_bytes(data), data.find(b"\n", len(data) // 2) + 1
    _put(folder, "whole", data)
    _put(folder, "first", data[:half])
    _put(folder, "second", data[half:])

    def read(path: str, most: int) -> bytes:
        return read_bytes(folder / path, most)

    for parts in (["whole"], ["first", "second"]):
        try:
            rows = list(listing.rows(read, digest, parts))
        except GlasshouseError:
            continue
        assert "".join(f"{sha256}  {path}\n" for path, sha256 in rows).encode() == data
        listing.inside(rows, "a b")
    listing.places(data.decode("utf-8", "replace").splitlines())


@parser(lambda: [table_of()])
def data_tables(data: bytes, folder: Path) -> None:
    """The rows of a data manifest in a Parquet file."""
    for _ in data_manifest.iter_rows(_put(folder, "rows.parquet", data)):
        pass


@parser(_ending("metrics.jsonl"))
def training_metrics(data: bytes, folder: Path) -> None:
    """The lines of a training."""
    place = _put(folder, "metrics.jsonl", data)
    metrics.first_departure(place, place)
    for _ in metrics.lines(place):
        pass


@parser(lambda: [b"".join(map(token_counts.line, test_token_counts.COUNTS))])
def counts_of_tokens(data: bytes, folder: Path) -> None:
    """How many tokens each document became: held to the rows and the record, and each line by itself."""
    following = token_counts.from_counts(io.BytesIO(data))
    for _ in range(data.count(b"\n") + (not data.endswith(b"\n"))):
        following("train")
    following = token_counts.from_counts(io.BytesIO(data))
    list(token_counts.placed(test_token_counts.rows(), test_token_counts.record(), following))


TEXTS = (b"glass and sand", b"panes of glass")
PART = TextPart(
    text=(text := b"".join(one + search_index.SEPARATOR for one in TEXTS)),
    suffixes=b"".join(map(search_index.PLACE.pack, sorted(range(len(text)), key=lambda place: text[place:]))),
    documents=b"".join(
        tokens.INDEX_ROW.pack(end, bytes.fromhex(sha256_bytes(one)))
        for one, end in zip(TEXTS, accumulate(len(one) + 1 for one in TEXTS), strict=True)
    ),
)
"""A part of an index of passages, of two documents."""


@parser(lambda: [bytes(each) for each in (PART.text, PART.suffixes, PART.documents)])
def passages(data: bytes, folder: Path) -> None:
    """Each file of an index of passages, searched beside the others' good ones."""
    problem = None
    for kind in search_index.KINDS:
        part = replace(PART, **{kind: data})
        try:
            if len(part.suffixes) != search_index.PLACE.size * len(part.text):
                continue  # which the record does not let by
            for place in part.places(b"glass")[:10]:
                part.occurrence(place)
        except GlasshouseError as found:
            problem = found
    if problem is not None:
        raise problem


HARNESS = harness_tasks.record().to_bytes()
FIGURES = (b'{"test": {"accuracy": 0.75}}', b"test: {accuracy: 0.75}\n", b"[test]\naccuracy = 0.75\n")


@parser(lambda: [*FIGURES, HARNESS, *_ending(layout.EVALUATION)()])
def figures(data: bytes, folder: Path) -> None:
    """What came out where a release was measured again, and what was signed, by each format of figures."""
    goods = dict(zip((f"{layout.FIGURES}/m.{end}" for end in ("json", "yaml", "toml")), FIGURES, strict=True))
    goods |= {layout.EVALUATION: next(iter(_ending(layout.EVALUATION)())), layout.HARNESS: HARNESS}
    for name, good in goods.items():
        paths = _put(folder, f"signed/{name}", good), _put(folder, f"found/{name}", data)
        for signed, found in (paths, paths[::-1]):
            with suppress(GlasshouseError):
                remeasured.compared(name, signed, found, 0.1)
    read_figures(folder / "found/provenance")


def _proofs() -> list[bytes]:
    row = json.loads(next(iter(_ending(layout.DATA_ROWS)())).splitlines()[0])
    body = {"schema": "glasshouse.inclusion/v1", "root": ZERO, "rows": 2, "index": 0, "row": row, "path": [ZERO]}
    return [json.dumps(body).encode()]


@parser(_proofs)
def proofs(data: bytes, folder: Path) -> None:
    """A proof of inclusion."""
    Proof.from_bytes(data, name="the proof")


@parser(lambda: [made.to_bytes() for made in (verdict_files.rebuild(), verdict_files.replay())])
def verdicts(data: bytes, folder: Path) -> None:
    """The file of an audit's verdict, as far as what is to be signed."""
    VerdictFile.from_bytes(data, name="verdict.json").signable()


# A project.


@parser(_ending("dvc.lock"))
def lock_files(data: bytes, folder: Path) -> None:
    """dvc.lock."""
    dvc_lock.read_lock(_put(folder, "dvc.lock", data))


@parser(lambda: [
    getattr(test_package_locks, name).encode() for name in ("PIP", "PYLOCK", "POETRY", "UV", "PIPFILE")
])  # fmt: skip
def locks_of_packages(data: bytes, folder: Path) -> None:
    """A lock of packages, by each tool's format."""
    for kind in test_package_locks.TOOLS:
        for read in (package_locks.requirements, package_locks.pinned):
            with suppress(GlasshouseError):
                read(kind, data, "lock")


@parser(lambda: [harness_tasks.COLOURS.encode(), harness_tasks.GOES_ON.encode()])
def tasks_of_the_harness(data: bytes, folder: Path) -> None:
    """A task of a project's own."""
    harness_tasks.write(folder)
    (folder / harness_tasks.FOLDER / "goes-on.yaml").unlink()
    _put(folder, f"{harness_tasks.FOLDER}/colours.yaml", data)
    with chdir(folder):
        for task in local_tasks.found(harness_tasks.FOLDER).values():
            task.config(), task.rows(), task.files, task.hub


@parser(_ending("dvc.yaml"))
def pipelines(data: bytes, folder: Path) -> None:
    """dvc.yaml, and each of its stages."""
    plan = dvc_yaml.read(_put(folder, "dvc.yaml", data))
    for name in (*plan.bodies, *plan.groups):
        plan.stage(name)


@parser(_ending("params.yaml"))
def settings(data: bytes, folder: Path) -> None:
    """params.yaml, for what a project says of itself."""
    Project.read(_put(folder, "params.yaml", data))


@parser(lambda: [b"release: " + canonical.dumps({"repo": "org/model", "rai": {"biases": ["x"]}, "eu": EU})])
def told(data: bytes, folder: Path) -> None:
    """params.yaml, for what a person says of a model."""
    _put(folder, layout.PARAMS, data)
    Told.of_release(folder, "org/model")


@parser(lambda: [CSV.encode()])
def emissions(data: bytes, folder: Path) -> None:
    """What codecarbon writes."""
    energy.read(_put(folder, "emissions.csv", data))


def _documents() -> list[bytes]:
    with next(golden for golden in goldens() if golden.name == "v1/trained").unpacked() as root:
        every.write(root)
        return [(root / path).read_bytes() for path in layout.DOCUMENTS]


@parser(_documents)
def documents(data: bytes, folder: Path) -> None:
    """Documents in formats of others, each form of them."""
    for form in every.DOCUMENTS:
        with suppress(GlasshouseError), agreement.of_its_form(form):
            value = form.read(data)
            form.made_by(value)
            form.facts(value)


# A Hub.


@parser(_ending("README.md"))
def cards(data: bytes, folder: Path) -> None:
    """The metadata of a card."""
    metadata.front_matter(data)
    metadata.check_card(data)


@parser(lambda: [b"- dataset:\n    id: a/b\n    task_id: bits-per-byte\n  value: 2.5\n  notes: on 3 documents\n"])
def results(data: bytes, folder: Path) -> None:
    """A file of `.eval_results`."""
    metadata.check_results(data, name="a.yaml")


@parser(lambda: [b"hf://org/model@v1.0.0", b"hf://org/model@" + b"c" * 40, b"hf://datasets/org/data"])
def references(data: bytes, folder: Path) -> None:
    """What people give to commands."""
    found = reference.parse(data.decode("utf-8", "surrogateescape"))
    str(found)


@parser(lambda: [json.dumps(_answers()).encode()])
def hub_answers(data: bytes, folder: Path) -> None:
    """What a Hub answers, each part of it: to a verification, to a proposal, and to lint."""
    hub, behaviour = _hub()
    behaviour.said = data
    client = HubClient(hub.url, "secret")
    problem = None
    for ask in (
        lambda: client.trees.download(lying_hub.REPO, client.refs.resolve(lying_hub.REPO, "main"), folder / "release"),
        lambda: client.refs.branches(lying_hub.REPO),
        lambda: client.refs.history(lying_hub.REPO),
        lambda: client.pulls.list(lying_hub.REPO),
        lambda: client.account.name(),
        lambda: rules.lint(reading.read(client, lying_hub.REPO)),
    ):  # fmt: skip
        shutil.rmtree(folder / "release", ignore_errors=True)
        try:
            ask()
        except GlasshouseError as found:
            problem = found
    if problem is not None:
        raise problem


class _Said:
    """A behaviour that answers each request by a part of what it was given, and all of it where that has no parts."""

    def __init__(self) -> None:
        self.said = b""

    def __call__(self, request: lying_hub.Handler) -> bool:
        try:
            parts = json.loads(self.said)
        except (ValueError, RecursionError):
            parts = None
        part = next((part for part in PARTS if request.about(part)), PARTS[-1])
        if not isinstance(parts, dict):
            request.send(self.said)
        elif part not in parts:
            return False
        else:
            said = parts[part]
            request.send(said.encode("latin-1", "replace") if isinstance(said, str) else json.dumps(said).encode())
        return True


PARTS = ("resolve/", "tree/", "refs", "commits/", "whoami", "discussions", "revision/")


def _answers() -> dict[str, object]:
    steps = [lying_hub.REFS["branches"][0] | {"name": f"step{n}", "ref": f"refs/heads/step{n}"} for n in (0, 1)]
    weights = _released("trained")["trained/model.safetensors"]
    listing = [lying_hub.entry("model.safetensors", size=len(weights), oid=lying_hub.git_oid(weights))]
    commit = {"id": lying_hub.COMMIT, "title": "t", "message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}
    return {
        "resolve/": weights.decode("latin-1"), "tree/": listing,
        "refs": lying_hub.REFS | {"branches": [*lying_hub.REFS["branches"], *steps]},
        "commits/": [commit], "whoami": {"name": "builder"}, "revision/": lying_hub.INFO,
        "discussions": {"count": 0, "start": 0, "discussions": []},
    }  # fmt: skip


@cache
def _hub() -> tuple[lying_hub.Hub, _Said]:
    """The Hub, until this process ends. Nobody waits long for it."""
    bounds.SILENCE, bounds.WHOLE, bounds.MAX_PAGES = 2.0, 4.0, 20
    for module in (_http, transfer):
        setattr(module, "time", SimpleNamespace(sleep=lambda seconds: None))  # noqa: B010 - modules declare it not
    said = _Said()
    return _OPEN.enter_context(lying_hub.served(said)), said


_OPEN = ExitStack()
"""Keeps it served."""


# Files of weights.


def _identified(*names: str) -> Callable[[bytes, Path], None]:
    def parse(data: bytes, folder: Path) -> None:
        for name in names:
            identify(_put(folder, name, data))

    return parse


def _safetensors() -> list[bytes]:
    import numpy as np
    from safetensors.numpy import save

    return [
        *_ending(".safetensors")(),
        save({"a": np.ones((2, 3), dtype=np.float16), "b": np.zeros(())}, {"format": "pt"}),
    ]


@parser(_safetensors)
def safetensors(data: bytes, folder: Path) -> None:
    """A header, and the digests of what it lays out."""
    place = _put(folder, "model.safetensors", data)
    identify(place)
    tensors.parameters(place)
    tensors.tensors_digest(place)


def _gguf() -> list[bytes]:
    import tempfile

    import gguf
    import numpy as np

    with tempfile.TemporaryDirectory() as name:
        writer = gguf.GGUFWriter(Path(name) / "made.gguf", "llama")
        writer.add_chat_template("{{ messages }}")
        writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
        writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
        writer.add_tensor("w", np.ones((2, 3), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return [(Path(name) / "made.gguf").read_bytes()]


def _onnx() -> list[bytes]:
    from tests.registry.verification.test_s0_contents import onnx

    return [onnx("weights.bin"), onnx("../../etc/passwd")]


def _pickles() -> list[bytes]:
    value = {"a": [1, 2.5, "x", b"y", None, (True, {3})], "b": Path("c")}
    return [zlib.compress(pickle.dumps(value, 4)), *(pickle.dumps(value, protocol) for protocol in range(6))]


def _arrays() -> list[bytes]:
    import numpy as np

    found = []
    for value in (np.ones((3, 2), dtype=np.float16), np.array([{"a": 1}], dtype=object)):
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=True)
        found.append(stream.getvalue())
    return found


for _name, _seeds, _parse in (
    ("gguf_files", _gguf, _identified("a.gguf")),
    ("onnx_files", _onnx, _identified("a.onnx", "a")),
    ("pickles", _pickles, _identified("a.bin", "a.txt")),
    ("skops_files", lambda: [scaled()], _identified("a.skops")),
    ("arrays", _arrays, _identified("a.npy")),
    ("other_files", _ending(".png", "LICENSE", "tokenizer.json", ".md"), _identified("a", "a.model", "a.parquet")),
):  # fmt: skip
    parser(_seeds, _name)(_parse)


@parser(lambda: [
    b"{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] | trim }}{% endfor %}",
    b"{{ messages | map(attribute='a.b') | join(',') }}{% if not x is defined %}{% set x = [1, 2] %}{% endif %}",
])  # fmt: skip
def templates(data: bytes, folder: Path) -> None:
    """A chat template, as it is looked at in a file, and in a configuration."""
    _put(folder, "chat_template.jinja", data)
    told = json.dumps({"chat_template": data.decode("utf-8", "replace"), "auto_map": {"a": "b--c.D"}})
    _put(folder, "config.json", told.encode())
    list(carried_code.carried(folder, ["chat_template.jinja", "config.json"]))


@parser(_ending("config.json"))
def configurations(data: bytes, folder: Path) -> None:
    """What a configuration names."""
    _put(folder, "config.json", data)
    list(carried_code.carried(folder, ["config.json"]))
