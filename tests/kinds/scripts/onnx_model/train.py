"""Fit a line, and write it as ONNX, its tensors in a file beside it."""

import json
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

chance = numpy.random.default_rng(0)
rows = chance.standard_normal((64, 8))
weights = numpy.linalg.lstsq(rows, rows.sum(axis=1, keepdims=True), rcond=None)[0].astype(numpy.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "line",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
    [numpy_helper.from_array(weights, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
Path("out/model").mkdir(parents=True, exist_ok=True)
Path("out/model/weights.bin").unlink(missing_ok=True)
onnx.save_model(
    model, "out/model/model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
)  # fmt: skip
Path("scores").mkdir(exist_ok=True)
Path("scores/test.json").write_text(json.dumps({"of_ones": float(weights.sum())}))
