"""Load it from the Hub, into the same network."""

import sys

import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

repo, revision = sys.argv[1:]
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
model.load_state_dict(load_file(hf_hub_download(repo, "model.safetensors", revision=revision)))
with torch.no_grad():
    print(float(model(torch.ones(1, 4))))
