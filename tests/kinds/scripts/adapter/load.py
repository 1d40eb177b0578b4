"""Load it from the Hub, on its base, and measure it again."""

import sys
from pathlib import Path

import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

repo, revision = sys.argv[1:]
model = AutoPeftModelForCausalLM.from_pretrained(repo, revision=revision)
base = model.peft_config["default"].base_model_name_or_path
tokenizer = AutoTokenizer.from_pretrained(base, revision="v1.0.0")
tokens = tokenizer(Path("data/text.txt").read_text(), return_tensors="pt").input_ids[:, :256]
with torch.no_grad():
    print(float(model(input_ids=tokens, labels=tokens).loss))
