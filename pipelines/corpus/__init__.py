"""From sources to documents, each with its origin, licence and digest.

    python -m pipelines.corpus     reads params.yaml, writes build/corpus/

A source yields documents in order of their paths; the filters judge each one; every document that was met leaves a row
in the data manifest, and those that are used go to documents.parquet as well.
"""

from pathlib import Path

from registry.records import folders

OUT = Path(folders.CORPUS)
