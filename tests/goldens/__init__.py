"""Complete releases, signed in every way there is, that verify for ever: `releases/vN/`, each with its report.

make_releases.py made them; test_releases.py verifies them. They lie in archives: a checkout that changes line ends, or
the `.gitattributes` inside a release, would change them.
"""
