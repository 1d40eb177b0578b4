"""Initialize a small network of PyTorch, and save its tensors, as those of PyTorch."""

from pathlib import Path

import torch
from safetensors.torch import save_file

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
Path("out").mkdir(exist_ok=True)
save_file(model.state_dict(), "out/model.safetensors", metadata={"format": "pt"})
with torch.no_grad():
    figure = float(model(torch.ones(1, 4)))
Path("metrics.toml").write_text(f"of_ones = {figure}\n")
