"""What is inside an ONNX file, read without onnx and without trust: its layout, and which other files it names.

A model can keep tensors in files beside it ("external data"). A path that leaves the folder has read an auditor's own
files in the past (CVE-2022-25882), so each is told, and the caller holds it to the release.

Source: onnx.proto3 of ONNX 1.x: ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, FunctionProto.
"""

from __future__ import annotations

from typing import BinaryIO

from registry.formats.protobuf import BYTES, VARINT, Field, OtherFormat, fields, text

MAX_FIELDS = 1_000_000
"""Fields that are looked at, of all messages together: a model of 100,000 nodes has half of it."""
MAX_DEPTH = 32
"""Graphs within nodes within graphs."""
COMPILED = "EPContext"
"""The node of what a vendor compiled: it holds code of a processor, or names a file of it."""
EXTERNAL = 1
"""TensorProto.DataLocation: the data stand in another file."""
INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message -> number of a field -> the message in it, of those that lead to tensors."""
KNOWN = {
    "model": frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26)),
    "graph": frozenset((1, 2, 5, 10, 11, 12, 13, 14, 15, 16)),
}
"""Numbers of the fields that a message has. Another is not ONNX as it is known here."""


def external_data(stream: BinaryIO, size: int) -> tuple[str, ...]:
    """The files that the ONNX model of `size` bytes in `stream` takes tensors from, as it names them.

    Raises OtherFormat for what is not an ONNX model, to its last byte.
    """
    walk = _Walk(stream)
    seen = walk.message("model", 0, size, 0)
    if not {1, 7} <= seen:
        raise OtherFormat("it has no version and graph")
    return tuple(sorted(walk.named))


class _Walk:
    """A walk over all that leads to tensors."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.named: set[str] = set()
        self.left = MAX_FIELDS

    def message(self, kind: str, start: int, end: int, depth: int) -> set[int]:
        """Look at the message of `kind` between two places; the numbers of its fields."""
        if depth > MAX_DEPTH:
            raise OtherFormat(f"messages nested {depth} deep")
        seen = set()
        for field in fields(self.stream, start, end):
            self.left -= 1
            if self.left < 0:
                raise OtherFormat(f"more than {MAX_FIELDS} fields")
            seen.add(field.number)
            if kind in KNOWN and field.number not in KNOWN[kind]:
                raise OtherFormat(f"a {kind} has no field {field.number}")
            if kind == "node" and field.number == 4 and text(self.stream, field) == COMPILED:
                raise OtherFormat(f"a node {COMPILED}, which holds what was compiled, or names a file of it")
            inner = INSIDE[kind].get(field.number)
            if inner is None:
                continue
            if field.wire != BYTES:
                raise OtherFormat(f"field {field.number} of a {kind} is not a message")
            if inner == "tensor":
                self._tensor(field)
            else:
                self.message(inner, field.start, field.end, depth + 1)
        return seen

    def _tensor(self, tensor: Field) -> None:
        """Note the file that a tensor names, whether or not it says that its data stand there."""
        for field in fields(self.stream, tensor.start, tensor.end):
            if field.number == 13 and field.wire == BYTES:
                entry = {row.number: text(self.stream, row) for row in fields(self.stream, field.start, field.end)}
                if entry.get(1) == "location":
                    self.named.add(entry.get(2, ""))
            elif field.number == 14 and field.wire == VARINT and field.value not in (0, EXTERNAL):
                raise OtherFormat(f"data at a place of kind {field.value}")
