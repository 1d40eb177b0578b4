"""Put a small Stable Diffusion together: its five parts, each in a folder of its own, as diffusers saves them."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

torch.manual_seed(0)
torch.set_num_threads(1)
unet = UNet2DConditionModel(
    sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    attention_head_dim=2,
)  # fmt: skip
vae = AutoencoderKL(block_out_channels=[8], norm_num_groups=4, latent_channels=4, sample_size=16)
text = CLIPTextModel(
    CLIPTextConfig(
        vocab_size=516, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )
)  # fmt: skip
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
known = {name: at for at, name in enumerate([*letters, *(f"{letter}</w>" for letter in letters)])}
vocabulary = {**known, "<|startoftext|>": 512, "<|endoftext|>": 513}
Path("tokenizer").mkdir(exist_ok=True)
Path("tokenizer/vocab.json").write_text(json.dumps(vocabulary))
Path("tokenizer/merges.txt").write_text("#version: 0.2\n")
tokenizer = CLIPTokenizer("tokenizer/vocab.json", "tokenizer/merges.txt", model_max_length=16)
pipeline = StableDiffusionPipeline(
    unet=unet, vae=vae, text_encoder=text, tokenizer=tokenizer, scheduler=DDIMScheduler(clip_sample=False),
    safety_checker=None, feature_extractor=None, requires_safety_checker=False,
)  # fmt: skip
pipeline.set_progress_bar_config(disable=True)
seeded = torch.Generator().manual_seed(1)
picture = pipeline("a cat", num_inference_steps=2, generator=seeded, output_type="np", height=16, width=16).images[0]
pipeline.save_pretrained("out/model")
Path("metrics.json").write_text(json.dumps({"mean": float(picture.mean())}))
