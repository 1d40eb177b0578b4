"""The same releases on machines of another kind: never an accusation.

The other machine is this one with every Python of the audit run by qemu-user (Debian: qemu-user-static) as another CPU,
whose /proc/cpuinfo stands in this one's place by bubblewrap. A release of each profile is replayed on each, with and
without a tolerance; that of the native profile is rebuilt, too.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from registry.audit import data, rebuilding, stages
from registry.audit.segments import Effort
from registry.audit.view import BUBBLEWRAP
from registry.audit.workshop import Workshop
from tests.audited import Bench, segments
from tests.conftest import Project, new_project
from tests.pipelines.small_project import TRAIN

QEMU = "qemu-x86_64-static"
FEATURES = ["fpu", "sse", "sse2", "ssse3", "sse4_1", "sse4_2", "popcnt", "avx"]
CPUS = {"Haswell": [*FEATURES, "avx2", "fma", "f16c"], "SandyBridge": FEATURES}
"""With AVX2 as the portable profile asks for, and without."""
TOLERANCE = 1e-3
SEGMENT = 3
EXPECTED = {
    ("portable", "Haswell"): ("BITWISE", "BITWISE"),
    ("portable", "SandyBridge"): ("UNSUPPORTED", "UNSUPPORTED"),
    ("native", "Haswell"): ("UNSUPPORTED", "WITHIN"),
    ("native", "SandyBridge"): ("UNSUPPORTED", "WITHIN"),
}
"""Profile and CPU -> the verdict of a replay, and that within TOLERANCE."""


def main() -> None:
    """Print a row for each release and machine. Ends the benchmark at a verdict that is not expected."""
    if missing := [name for name in (QEMU, BUBBLEWRAP) if shutil.which(name) is None]:
        print(f"left out: {' and '.join(missing)} not installed")
        return
    with Bench.start() as bench:
        for profile in ("portable", "native"):
            project = new_project(bench.folder / profile / "project", train=TRAIN | {"profile": profile})
            bench.build(project)
            audited = bench.admit(bench.sign(project))
            for cpu in CPUS:
                python = machine(bench.folder / f"{profile}-{cpu}", cpu)
                place = bench.open(project, audited, f"audit-{profile}-{cpu}", python)
                row(place, project, (profile, cpu))
            if profile == "native":
                whole(place)


def row(place: Workshop, project: Project, names: tuple[str, str]) -> None:
    """Replay a segment, as strictly as can be and then within the tolerance."""
    said, reasons = [], []
    if place.here is None:
        said, reasons = ["UNSUPPORTED"] * 2, list(place.cannot)
    else:
        remade = data.remake(place)
        for tolerance in (0.0, TOLERANCE):
            work = segments(remade, project, f"within-{tolerance}", (SEGMENT,), Effort(tolerance=tolerance))
            (made,) = work.replay()
            said.append(made.verdict)
            reasons.append(made.reason)
    print(f"{names[0]:9} release on {names[1]:12} replay {said[0]:12} within {TOLERANCE:g}: {said[1]}")
    print(f"    {reasons[0][:400]}", flush=True)
    if tuple(said) != EXPECTED[names]:
        raise SystemExit(f"expected {EXPECTED[names]}: {reasons}")


def whole(place: Workshop) -> None:
    """Rebuild once, and judge what came out without and with the tolerance."""
    started = time.perf_counter()
    built = stages.run(place, lambda name: None, lambda steps: None)
    exact, details = rebuilding.judge(built, 0.0)
    near, _ = rebuilding.judge(built, TOLERANCE)
    print(f"native    release rebuilt there: {exact}, within {TOLERANCE:g}: {near}")
    print(f"    {'; '.join(details.departs)[:400]}  ({time.perf_counter() - started:.0f} s)", flush=True)
    if (exact, near) != ("UNSUPPORTED", "WITHIN"):
        raise SystemExit("\n".join(f"{output.path}: {output.reason}" for output in details.outputs))


def machine(folder: Path, cpu: str) -> Path:
    """The interpreter of a machine with that CPU: this environment's own, emulated. All it starts is emulated, too."""
    environment = Path(sys.executable).parent.parent
    folder.mkdir()
    (folder / "bin").mkdir()
    shutil.copyfile(environment / "pyvenv.cfg", folder / "pyvenv.cfg")
    (folder / "lib").symlink_to(environment / "lib")
    told = {"model name": f"Emulated {cpu}", "flags": " ".join(CPUS[cpu])}
    facts = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    lines = [f"{key.strip()}\t: {told.get(key.strip(), value.strip())}" for key, _, value in facts]
    (folder / "cpuinfo").write_text("\n".join(lines) + "\n\n")
    python = folder / "bin" / "python"
    python.write_text(
        "#!/bin/sh\n"
        f"exec {BUBBLEWRAP} --dev-bind / / --ro-bind {folder / 'cpuinfo'} /proc/cpuinfo -- "
        f'{QEMU} -cpu {cpu} -0 "$0" {Path(sys.executable).resolve()} "$@"\n'
    )
    python.chmod(0o755)
    (folder / "bin" / "dvc").symlink_to(environment / "bin" / "dvc")
    return python


if __name__ == "__main__":
    main()
