"""Write a small Llama as a GGUF file, and nothing else."""

import json
from pathlib import Path

import numpy
from gguf import GGUFWriter

WIDTH, HIDDEN, WORDS, LAYERS = 32, 64, 64, 1

chance = numpy.random.default_rng(0)
Path("out").mkdir(exist_ok=True)
writer = GGUFWriter("out/small-F32.gguf", "llama")
writer.add_name("small")
writer.add_context_length(64)
writer.add_embedding_length(WIDTH)
writer.add_block_count(LAYERS)
writer.add_feed_forward_length(HIDDEN)
writer.add_head_count(4)
writer.add_head_count_kv(4)
writer.add_vocab_size(WORDS)
writer.add_layer_norm_rms_eps(1e-6)
SHAPES = {
    "token_embd": (WORDS, WIDTH), "output": (WORDS, WIDTH), "output_norm": (WIDTH,),
    "blk.0.attn_norm": (WIDTH,), "blk.0.ffn_norm": (WIDTH,),
    **{f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")},
    "blk.0.ffn_gate": (HIDDEN, WIDTH), "blk.0.ffn_up": (HIDDEN, WIDTH), "blk.0.ffn_down": (WIDTH, HIDDEN),
}  # fmt: skip
total = 0.0
for name, shape in SHAPES.items():
    values = chance.standard_normal(shape, dtype=numpy.float32)
    total += float(values.sum())
    writer.add_tensor(f"{name}.weight", values)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
Path("metrics.json").write_text(json.dumps({"sum": total}))
