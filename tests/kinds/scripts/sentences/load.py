"""Load it from the Hub, and measure it again."""

import sys

from sentence_transformers import SentenceTransformer

repo, revision = sys.argv[1:]
model = SentenceTransformer(repo, revision=revision, device="cpu")
one, two = model.encode(["The cat sat.", "A dog ran."])
print(float(one @ two))
