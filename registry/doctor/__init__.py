"""What this machine lacks for building, releasing and checking models: each thing PASS, FAIL or UNKNOWN, with its mend.

    condition.py   how one thing stands
    machine.py     Python, git, DVC, the disk, bubblewrap
    services.py    the Hub, the token, the clock, the root of trust
    project.py     the store of runs, and whether this CPU gives the recorded bits; of a DVC project only
    released.py    whether MLflow and the signed releases say the same; where it is told where those are

FAIL means that it is not there, or does not work; UNKNOWN, that it could not be told. Nothing is changed, and nothing
waits longer than `SECONDS`: what has not answered by then is UNKNOWN.
"""

from registry.doctor.condition import Condition
from registry.doctor.examining import SECONDS, Place, examine

__all__ = ["SECONDS", "Condition", "Place", "examine"]
