"""What codecarbon writes is read; what it does not write is not taken for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Malformed
from registry.openness import energy

HEAD = (
    "timestamp,project_name,duration,emissions,cpu_energy,gpu_energy,ram_energy,energy_consumed,country_name,"
    "codecarbon_version,cpu_model,gpu_model,tracking_mode"
)
ROW = "2026-11-26T10:58:13,,60.0,0.0005,0.001,0.0,0.0002,0.0012,Germany,3.3.2,AMD EPYC,,process"
CSV = f"{HEAD}\n{ROW}\n{ROW}\n"


def written(folder: Path, text: str) -> Path:
    """A file with that text."""
    path = folder / "emissions.csv"
    path.write_text(text)
    return path


def test_runs_are_summed_and_the_method_is_said(tmp_path: Path) -> None:
    found = energy.read(written(tmp_path, CSV))
    assert (found.runs, found.kwh, found.co2, found.seconds) == (2, 0.0024, 0.001, 120.0)
    assert found.parts == {"CPU": 0.002, "GPU": 0.0, "RAM": 0.0004}
    assert found.method.startswith("By codecarbon 3.3.2, of the share of the machine") and "estimated" in found.method
    assert found.told["country_name"] == "Germany" and found.told["gpu_model"] == ""


@pytest.mark.parametrize(
    "text",
    ["", HEAD, CSV.replace("0.0012", "-1"), CSV.replace("0.0012", "nan"), CSV.replace("0.0012", "inf"),
     CSV.replace("0.0012", ""), CSV.replace("energy_consumed", "energy"), f"{HEAD}\n2026,x\n",
     CSV.replace("AMD EPYC", "x" * 201), CSV.replace("AMD EPYC", "a\x07b"), CSV.replace("AMD", '"AMD'), "a,b\n1,2\n",
     CSV.replace(HEAD, HEAD + ",x" * 200)],
)  # fmt: skip
def test_what_codecarbon_does_not_write_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed, match=r"emissions\.csv is not what codecarbon writes"):
        energy.read(written(tmp_path, text))


@given(
    data=st.binary(max_size=200)
    | st.text(alphabet='0123456789.,"\n-e', max_size=80).map(lambda t: (HEAD + "\n" + t).encode())
)
def test_of_any_bytes_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    with suppress(Malformed):
        assert energy.read(path).kwh >= 0
