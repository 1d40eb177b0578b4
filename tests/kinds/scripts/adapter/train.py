"""Train a LoRA adapter on a model of the Hub, which the stage before has fetched."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

BASE, REPO = "build/base", "kinds/language-model"
REVISION = json.loads(Path("build/base.json").read_text())["commit"]  # a tag can move

torch.manual_seed(0)
torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(BASE)
base = AutoModelForCausalLM.from_pretrained(BASE)
lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", revision=REVISION)
model = get_peft_model(base, lora)
tokens = tokenizer(Path("data/text.txt").read_text(), return_tensors="pt").input_ids[:, :256]
optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
for _ in range(5):
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.eval()
with torch.no_grad():
    figure = float(model(input_ids=tokens, labels=tokens).loss)
model.peft_config["default"].base_model_name_or_path = REPO
model.save_pretrained("out/model")
Path("metrics.json").write_text(json.dumps({"loss": figure}))
