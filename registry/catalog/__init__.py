"""The registry's view: which releases there are, what each says, how two differ, and what has been said of them since.

Everything is read from the releases themselves, wherever they lie; there is no database. Nothing here verifies a
release as `glasshouse verify` does: what is shown was bound to a signature, and who signed is said beside it.

    shelves.py       where releases lie: on a Hub, in a folder; their small files, read within bounds
    entry.py         what one release says: its signed statement, and the records that the statement binds
    differences.py   how two releases differ: data, params, code, packages, metrics, files
    weights.py       how the weights of two releases differ, tensor by tensor
    lineage.py       what a release came from, as a graph
    drawing.py       that graph as a tree, as DOT and as a picture
    openlineage.py   that graph as OpenLineage events
    history.py       what happened, in order: releases, words on their status, audits
"""
