"""Every parser of outside input, fed with what nobody would send: python -m tests.fuzz, or make fuzz.

    parsers.py    the parsers, each with valid inputs to begin from
    inputs.py     inputs that are nearly valid, of hostile shape, or noise
    child.py      one parser in a process of its own, whose memory and time are bounded
    __main__.py   the command

Law: a parser answers, or raises GlasshouseError, within LIMIT seconds of work and MEMORY bytes beyond its start.
"""
