"""Tests of docs/: the site, and that what the pages say is so."""
