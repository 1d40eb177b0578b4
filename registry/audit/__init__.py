"""The auditor's path: replay a stretch of the training, or rebuild all of it, and sign what was seen."""
