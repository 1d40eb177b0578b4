"""Steps 0 to 7 over one release: each answers PASS, FAIL or UNKNOWN. steps.py has them in order."""
