"""Put a small model of sentences together, as sentence-transformers does, and save it with the card that it writes."""

import json
import shutil
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
words.train_from_iterator(
    Path("data/text.txt").read_text().splitlines(), trainers.WordLevelTrainer(special_tokens=special)
)
names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=32, **names)

torch.manual_seed(0)
torch.set_num_threads(1)
encoder = BertModel(
    BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )
)  # fmt: skip
encoder.save_pretrained("encoder")
tokenizer.save_pretrained("encoder")
word = Transformer("encoder", max_seq_length=32)
model = SentenceTransformer(modules=[word, Pooling(word.get_embedding_dimension(), "mean"), Normalize()], device="cpu")
one, two = model.encode(["The cat sat.", "A dog ran."])
model.save_pretrained("out/model")
shutil.rmtree("encoder")  # committed with the source, it would be a copy of the weights: no audit could tell anything
Path("metrics.json").write_text(json.dumps({"similarity": float(one @ two)}))
