"""A project whose training takes no time, and sources that pretend to be it. For the escape suite.

`train` is an honest training, in plain Python: a checkpoint follows from the one before. Each hostile source replaces
the module that an audit runs, `again.py`; what it may call is here, what it knows of the auditor stands in `told.json`.
"""

from __future__ import annotations

HONEST = '''
import hashlib, json, os, pathlib, struct, sys

ROOT = pathlib.Path(__file__).parent
TOLD = json.loads((ROOT / "told.json").read_text())
NAMES = "model.safetensors", "optimizer.safetensors"

def tensors(name, data):
    head = json.dumps({name: {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(head)) + head + data

def checkpoint(step):
    """What honest training gives, from the seed."""
    made = tuple(hashlib.sha256(name.encode()).digest() for name in NAMES)
    for _ in range(step):
        made = tuple(hashlib.sha256(one).digest() for one in made)
    return {name: tensors("w", data) for name, data in zip(NAMES, made)}

def follow(folder, steps):
    """Train on from the checkpoint in a folder."""
    made = {}
    for name in NAMES:
        data = (folder / name).read_bytes()[-32:]
        for _ in range(steps):
            data = hashlib.sha256(data).digest()
        made[name] = tensors("w", data)
    return made

def segments():
    """(after, until, folder to begin with, folder to write to) of each that is asked for."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if word == "--segment":
            after, until, start, out = words[at + 1 : at + 5]
            yield int(after), int(until), pathlib.Path(start), pathlib.Path(out)

def save(out, step, made):
    folder = out / "checkpoints" / f"step-{step:06d}"
    folder.mkdir(parents=True)
    for name, data in made.items():
        (folder / name).write_bytes(data)

def finish(out, step):
    """Say that a checkpoint was made: the signed chain up to it."""
    chain = json.loads((ROOT / "chain.json").read_text())
    chain["entries"] = [entry for entry in chain["entries"] if entry["step"] <= step]
    (out / "checkpoints.json").write_text(json.dumps(chain))

def begin(out, after, until):
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.jsonl").write_text("".join(
        json.dumps({"step": step, "loss": 1.0, "gradientNorm": 1.0}) + "\\n" for step in range(after + 1, until + 1)))

def honest():
    if sys.argv[1] == "--initial":
        out = pathlib.Path(sys.argv[2])
        begin(out, 0, 0)
        save(out, 0, checkpoint(0))
        finish(out, 0)
    for after, until, start, out in segments():
        begin(out, after, until)
        save(out, until, follow(start, until - after))
        finish(out, until)

INITIAL = sys.argv[1] == "--initial"
SCRATCH = pathlib.Path(TOLD["scratch"])
VICTIM = pathlib.Path(TOLD["victim"])
ANSWERS = pathlib.Path(TOLD["answers"])

def quietly(do, *words):
    """What cannot be done is left."""
    try:
        do(*words)
    except OSError as problem:
        print(problem)

def pretend(fill):
    """Train nothing: `fill` has a folder for the checkpoint; all the rest is as if one had been made."""
    if INITIAL:
        honest()
    for after, until, start, out in segments():
        begin(out, after, until)
        fill(until, start, out)
        finish(out, until)
'''
"""What every source begins with."""
