"""The auditor's path: fetch -> verify."""
