"""A project of the shape of DVC's example-get-started, released, and rebuilt by a stranger in a fresh environment.

Its stages, its data in DVC, its metrics outside the cache and its pickled forest are those of the original; the posts
are made up. `make get-started` runs it: it installs scikit-learn anew, from a lock with digests.
"""
