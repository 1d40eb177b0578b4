"""The auditor's path: replay a stretch of the training, rebuild all of it, or measure again, and sign what was seen."""
