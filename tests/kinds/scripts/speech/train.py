"""Save a small wav2vec 2.0 that writes down what it hears, after a few steps on noise."""

from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

torch.manual_seed(0)
torch.set_num_threads(1)
model = Wav2Vec2ForCTC(
    Wav2Vec2Config(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        conv_dim=(16, 16), conv_kernel=(10, 3), conv_stride=(5, 2), num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, apply_spec_augment=False, layerdrop=0.0, pad_token_id=0,
    )
)  # fmt: skip
sound = torch.rand(1, 800, generator=torch.Generator().manual_seed(1))
labels = torch.tensor([[1, 2, 3]])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(5):
    loss = model(sound, labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.eval()
with torch.no_grad():
    figure = float(model(sound, labels=labels).loss)
model.save_pretrained("out/model")
Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained("out/model")
Path("metrics.yaml").write_text(f"ctc_loss: {figure}\n")
