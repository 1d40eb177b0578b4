"""Load it from the Hub: as transformers reads such a file, and as the format's own reader does."""

import sys

from gguf import GGUFReader
from huggingface_hub import hf_hub_download
from transformers import AutoModelForCausalLM

repo, revision = sys.argv[1:]
AutoModelForCausalLM.from_pretrained(repo, gguf_file="small-F32.gguf", revision=revision)
reader = GGUFReader(hf_hub_download(repo, "small-F32.gguf", revision=revision))
print(sum(float(tensor.data.sum()) for tensor in reader.tensors))
