"""Train a small Llama on a text, and save it in shards, as transformers does."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEXT = Path("data/text.txt").read_text()

words = Tokenizer(models.BPE())
words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
words.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
words.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)

torch.manual_seed(0)
torch.set_num_threads(1)
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
    )
)  # fmt: skip
tokens = tokenizer(TEXT, return_tensors="pt").input_ids[:, :256]
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(20):
    loss = model(tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.eval()
with torch.no_grad():
    figure = float(model(tokens, labels=tokens).loss)
model.save_pretrained("out/model", max_shard_size="50KB")
tokenizer.save_pretrained("out/model")
Path("metrics.json").write_text(json.dumps({"train": {"loss": figure}}))
