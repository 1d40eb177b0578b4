"""Complete releases, signed in every way there is, that verify for ever: `releases/vN/`, and what each was found to be.

make_releases.py made them; test_releases.py verifies them. They lie in archives: a `.gitattributes` inside a release, or
a checkout that changes line ends, would change them.
"""
