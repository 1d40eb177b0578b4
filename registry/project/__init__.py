"""A DVC project on this disk: dvc.yaml and dvc.lock, git, the recorder of stages, and MLflow."""
