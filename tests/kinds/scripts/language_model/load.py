"""Load it from the Hub, and measure it again."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

repo, revision = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(repo, revision=revision)
model = AutoModelForCausalLM.from_pretrained(repo, revision=revision)
tokens = tokenizer(Path("data/text.txt").read_text(), return_tensors="pt").input_ids[:, :256]
with torch.no_grad():
    print(float(model(tokens, labels=tokens).loss))
