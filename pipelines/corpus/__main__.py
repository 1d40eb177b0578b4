"""`python -m pipelines.corpus`."""

from pipelines import stage
from pipelines.corpus.build import main

if __name__ == "__main__":
    stage.run(main)
