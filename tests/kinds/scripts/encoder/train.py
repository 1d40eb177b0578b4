"""Train a small BERT to fill in what is masked."""

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

torch.manual_seed(0)
torch.set_num_threads(1)
model = BertForMaskedLM(
    BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )
)  # fmt: skip
tokens = torch.arange(32).view(1, -1)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(5):
    loss = model(tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.eval()
with torch.no_grad():
    figure = float(model(tokens, labels=tokens).loss)
model.save_pretrained("out/model")
Path("dvclive").mkdir(exist_ok=True)
Path("dvclive/metrics.json").write_text(json.dumps({"loss": figure}))
