"""Load it from the Hub, and draw again."""

import sys

import torch
from diffusers import DiffusionPipeline

repo, revision = sys.argv[1:]
pipeline = DiffusionPipeline.from_pretrained(repo, revision=revision)
pipeline.set_progress_bar_config(disable=True)
seeded = torch.Generator().manual_seed(1)
picture = pipeline("a cat", num_inference_steps=2, generator=seeded, output_type="np", height=16, width=16).images[0]
print(float(picture.mean()))
