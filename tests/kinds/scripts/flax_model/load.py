"""Load it from the Hub, into the same network."""

import sys

import jax
from flax import linen
from flax.traverse_util import unflatten_dict
from huggingface_hub import hf_hub_download
from safetensors.flax import load_file

repo, revision = sys.argv[1:]
tensors = load_file(hf_hub_download(repo, "params.safetensors", revision=revision))
model = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(1)])
ones = jax.numpy.ones((1, 4))
print(float(model.apply({"params": unflatten_dict(tensors, sep="/")}, ones)[0, 0]))
