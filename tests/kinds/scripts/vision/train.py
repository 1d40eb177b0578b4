"""Train a small ViT to tell bright pictures from dark ones."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import ViTConfig, ViTForImageClassification

torch.manual_seed(0)
torch.set_num_threads(1)
model = ViTForImageClassification(
    ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4,
        id2label={0: "dark", 1: "bright"}, label2id={"dark": 0, "bright": 1},
    )
)  # fmt: skip
labels = torch.arange(16) % 2
pictures = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(1)) / 2 + labels.view(-1, 1, 1, 1) / 2
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
losses = []
for _ in range(20):
    loss = model(pictures, labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(float(loss.detach()))

model.eval()
with torch.no_grad():
    figure = float(model(pictures, labels=labels).loss)
model.save_pretrained("out/model")
Path("metrics.json").write_text(json.dumps({"loss": figure}))
Path("plots").mkdir(exist_ok=True)
plt.plot(losses)
plt.savefig("plots/loss.png", metadata={"Software": None})
