"""Load it from the Hub, and measure it again."""

import sys

import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC

repo, revision = sys.argv[1:]
assert AutoFeatureExtractor.from_pretrained(repo, revision=revision).sampling_rate == 16000
model = AutoModelForCTC.from_pretrained(repo, revision=revision)
sound = torch.rand(1, 800, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    print(float(model(sound, labels=torch.tensor([[1, 2, 3]])).loss))
