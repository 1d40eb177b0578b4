"""What a file is, by what it holds: whether it is of a format that is known and cannot run code.

    known.py         the formats that are known, and what a file is
    pickles.py       whether unpickling a file would call anything
    onnx_model.py    an ONNX model's layout, and the files that it names
    gguf_header.py   what a GGUF file says of itself
    npy_header.py    whether an array holds numbers alone
    skops_schema.py  the types that a file of skops names; skops_types.py: those that are known to be safe
    protobuf.py      the fields of a message, which two of them are made of
    carried_code.py  code among the files, and what files of settings and templates name
    settings.py      what settings have a loader import, call, or fetch from elsewhere
    chat_templates.py  what a chat template does beyond putting texts together

Nothing in a file is executed, imported, or built; what is read of it is bounded.
"""
