"""Load it from the Hub, and measure it again."""

import sys

import torch
from transformers import AutoModelForMaskedLM

repo, revision = sys.argv[1:]
model = AutoModelForMaskedLM.from_pretrained(repo, revision=revision)
tokens = torch.arange(32).view(1, -1)
with torch.no_grad():
    print(float(model(tokens, labels=tokens).loss))
