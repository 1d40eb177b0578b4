"""What is done to a release from outside, without the maintainer's key: files, names, bundles, signers, sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations

from registry.hub.reference import HubReference
from registry.records import layout
from tests.e2e.tampering import spoil
from tests.e2e.tampering.spoil import NEST, PICKLE
from tests.e2e.tampering.world import PAIR, Attempt, Case, World, record

REGIONS = 5
"""Places in each file where a byte is flipped: its first and last byte, and between."""


def contents(world: World, paths: list[str]) -> Iterator[Case]:
    for path in spoil.kinds(paths):
        step = (2, 3) if path in layout.COVERED_LAST else 2  # nothing lists them but their own signature
        size = (world.good / path).stat().st_size
        for place in sorted({region * (size - 1) // (REGIONS - 1) for region in range(REGIONS)}):
            yield Case(f"flip byte {place} of {path}", spoil.flip(path, place), step, path)
        yield Case(f"cut the last byte off {path}", spoil.edit(path, lambda data: data[:-1]), step, path)
        yield Case(f"append a byte to {path}", spoil.edit(path, lambda data: data + b"!"), step, path)
        yield Case(f"empty {path}", spoil.edit(path, lambda data: b""), step, path)


def names(world: World, paths: list[str]) -> Iterator[Case]:
    for path in paths:
        yield Case(f"drop {path}", spoil.drop(path), 2, path, ("missing",))
        yield Case(f"rename {path}", spoil.rename(path), 2, f"{path}x", ("unexpected",))
    for path in ("extra.txt", "provenance/extra.json", ".gitignore", "attestations/extra.sigstore.json", "a/b/c/d"):
        yield Case(f"add {path}", spoil.write(path, b"{}"), 2, path, ("unexpected",))
    for one, other in combinations(paths, 2):
        contents = (world.good / one).read_bytes(), (world.good / other).read_bytes()
        same = len(contents[0]) == len(contents[1]) and contents[0] != contents[1]
        if same or {one.split("/")[0], other.split("/")[0]} == {layout.ATTESTATIONS}:
            yield Case(f"swap {one} and {other}", spoil.swap(one, other), 2, one, ("altered",) if same else ())
    swapped = spoil.becomes("paired", spoil.swap(*PAIR))
    for path in PAIR:
        yield Case(f"swap two files of one size, seen at {path}", swapped, 2, path, ("altered",))


def other_releases(world: World) -> Iterator[Case]:
    bundles = spoil.bundle_paths(world)
    for path in bundles:
        subject = layout.RECORD if path in layout.COVERED_LAST else path
        yield Case(f"take {path} of the next release", spoil.take("later", path), 2, subject, ("altered",))
    yield Case("take every attestation of the next release", spoil.take("later", *bundles), 2, layout.RECORD)
    here = record(world.good)
    for tag in ("v1.0.1", "v9.9.9", f"{here.tag}0"):
        there = HubReference(here.repo, tag)
        yield Case(f"replay it under the tag {tag}", spoil.verified(Attempt(there)), 4, str(there), ("another tag",))
    for repo in ("somebody/else", f"{here.repo}2"):
        there = HubReference(repo, here.tag)
        yield Case(f"replay it as {repo}", spoil.verified(Attempt(there)), 4, str(there), ("a release of",))


def bundles(world: World) -> Iterator[Case]:
    entry = "verificationMaterial.tlogEntries"
    for path in spoil.kinds(spoil.bundle_paths(world)):
        for name, change in {
            "strip the log entry": lambda d: spoil.set_at(d, entry, []),
            "strip the log's promise": lambda d: spoil.set_at(d, f"{entry}.0.inclusionPromise", None),
            "strip the proof of inclusion": lambda d: spoil.set_at(d, f"{entry}.0.inclusionProof", None),
            "strip the checkpoint": lambda d: spoil.set_at(d, f"{entry}.0.inclusionProof.checkpoint", None),
            "double the log entry": lambda d: spoil.set_at(d, entry, d["verificationMaterial"]["tlogEntries"] * 2),
            "move the log entry": lambda d: spoil.set_at(d, f"{entry}.0.logIndex", "0" * 3 + "7"),
            "strip the certificate": lambda d: spoil.set_at(d, "verificationMaterial.certificate", None),
            "call the certificate a key": spoil.as_key,
            "sign twice": lambda d: spoil.set_at(d, "dsseEnvelope.signatures", d["dsseEnvelope"]["signatures"] * 2),
            "strip the signature": lambda d: spoil.set_at(d, "dsseEnvelope.signatures", []),
            "sign another payload": lambda d: spoil.set_at(d, "dsseEnvelope.payload", spoil.b64(b'{"_type":"x"}')),
            "call the payload something else": lambda d: spoil.set_at(d, "dsseEnvelope.payloadType", "text/plain"),
        }.items():
            yield Case(f"{path}: {name}", spoil.in_json(path, change), 3, path)
        yield Case(f"{path}: by another authority", spoil.take("foreign", path), 3, path, ("does not hold",))
        yield Case(f"{path}: an expired certificate, no timestamp", spoil.untimed(path), 3, path)
        yield Case(f"{path}: 10 MB of nesting", spoil.write(path, b"[" * NEST), 3, path, ("more than the",))
        yield Case(f"{path}: a key twice", spoil.edit(path, lambda data: b'{"a":1,"a":2}'), 3, path, ("twice",))
        yield Case(f"{path}: not JSON at all", spoil.write(path, os.urandom(100)), 3, path)


def signers(world: World) -> Iterator[Case]:
    who, issuer = world.identity, world.issuer
    names = [
        who[:-1],
        who + ".evil.example",
        "x" + who,
        who.upper(),
        who.replace(".", "x"),
        ".*",
        who + "\n",
        " " + who,
    ]
    for name in names:
        attempt = Attempt(None, world.trusting(name, issuer))
        yield Case(f"expect {name!r}", spoil.verified(attempt), 3, "model.sig", (f"signed by {who}",))
    for other in (issuer + "/", issuer[:-1], issuer.replace("https", "http"), issuer.upper(), "https://other.example"):
        attempt = Attempt(None, world.trusting(who, other))
        yield Case(f"expect issuer {other!r}", spoil.verified(attempt), 3, "model.sig", (f"signed by {who}",))


def paths() -> Iterator[Case]:
    for name in ("a\\b", "a\nb", "a\x7fb", "e\u0301", "dot.", "space ", "C:", "a\u0085b"):
        yield Case(f"a file called {name!r}", spoil.write(name, b""), 0, "", ("not allowed",))
    twins = ("readme.md", "CONFIG.json", "provenance/DVC.lock", "Model.sig", "Provenance/x.json", "ATTESTATIONS/a/b")
    for twin in twins:
        yield Case(f"a case twin {twin}", spoil.write(twin, b""), 0, "", ("case",))
    for target in ("/etc/hostname", "README.md", "..", "nowhere", "provenance"):
        yield Case(f"a link to {target}", spoil.link("link", target), 0, "", ("link is a link",))
    yield Case("a pipe", spoil.do(lambda root: os.mkfifo(root / "pipe")), 0, "", ("pipe is a link or a device",))
    yield Case("a release that is a link", spoil.as_link, 0, "", ("not a directory",))


def sizes(world: World) -> Iterator[Case]:
    for path in ("provenance/evaluation.json", "README.md", "model.sig", "attestations/card.sigstore.json"):
        yield Case(f"{path} of 1 TB", spoil.sparse(path), 0, "", ("allowed",))
    yield Case("weights of 1 TB", spoil.sparse("model.safetensors"), 2, "model.safetensors", ("altered",))
    for name, data in {
        "pytorch_model.bin": b"", "weights.pt": b"", "model2.safetensors": PICKLE, "notes.txt": PICKLE,
        "vocab.json": b"PK\x03\x04" + bytes(100), "provenance/data.npz": b"", "sub/Model.PKL": b"",
    }.items():  # fmt: skip
        words = () if data == PICKLE else ("archive",) if data else ("holds text",)
        yield Case(f"a pickle called {name}", spoil.write(name, data), 0, name, words)
    for name in ("weights.safetensors", "notes.md", "provenance/rows.jsonl", "sub/vocab.json"):
        yield Case(f"a zip bomb called {name}", spoil.write(name, spoil.zip_bomb()), 0, name, ("archive",))
    for path in ("model.safetensors", layout.DATA_ROWS):
        yield Case(f"{path} that is a zip bomb", spoil.write(path, spoil.zip_bomb()), 0, path, ("archive",))
    rows = layout.DATA_ROWS
    yield Case(f"{rows} that is a gzip bomb", spoil.write(rows, spoil.gzip_bomb()), 2, rows, ("altered",))
    yield Case(
        "weights that are a pickle", spoil.write("model.safetensors", PICKLE), 0, "model.safetensors", ("pickle",)
    )
