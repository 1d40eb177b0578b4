"""Faults of any repository on a Hub, whoever made it: rules, what they are asked of, and SARIF."""
