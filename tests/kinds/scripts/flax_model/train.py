"""Initialize a small network of Flax, and save its parameters."""

import json
from pathlib import Path

import jax
from flax import linen
from flax.traverse_util import flatten_dict
from safetensors.flax import save_file

model = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(1)])
ones = jax.numpy.ones((1, 4))
variables = model.init(jax.random.PRNGKey(0), ones)
Path("out").mkdir(exist_ok=True)
save_file(flatten_dict(variables["params"], sep="/"), "out/params.safetensors")
Path("metrics.json").write_text(json.dumps({"of_ones": float(model.apply(variables, ones)[0, 0])}))
