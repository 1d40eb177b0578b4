"""Who says so: statements, signatures over them, and whether they hold.

statement.py   the in-toto statement            predicates.py  what it can say
policy.py      who may sign                     signature.py   who signed, as facts
bundle.py      the file a signature comes in    verifier.py    does it hold, and by one of those?
sigstore/      an identity signs                localkey.py    a key in a file signs
certificate.py an authority's certificate does  x509_path.py   from it up to the authority
oms.py         model.sig, over a whole directory
"""
