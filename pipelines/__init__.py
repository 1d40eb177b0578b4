"""The stages that `dvc repro` runs, each as `python -m pipelines.NAME` from the project's root."""
