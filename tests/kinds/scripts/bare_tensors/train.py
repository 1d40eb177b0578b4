"""Initialize a small network of PyTorch, and save it with nothing that says what wrote it."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_model

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
Path("out").mkdir(exist_ok=True)
save_model(model, "out/model.safetensors")
with torch.no_grad():
    figure = float(model(torch.ones(1, 4)))
Path("metrics.json").write_text(json.dumps({"of_ones": figure}))
