"""What a training asks of its machine, as MLflow measures it: `system/…` of the run. Only where psutil is there.

MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false turns it off, and MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says how often.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from registry import variables


@dataclass(frozen=True, slots=True)
class MachineWatch:
    """Processor, memory, disk, network and GPUs, every ten seconds by themselves, until `finish`."""

    _monitor: Any

    @classmethod
    def begin(cls, run: str, uri: str) -> MachineWatch | None:
        """Measure for that run of the store at `uri`; None where it is turned off, or psutil is missing."""
        if os.environ.get(variables.MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING, "true").lower() in ("false", "0"):
            return None
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
        except ImportError:
            return None
        monitor = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)
        monitor.start()
        return cls(monitor)

    def finish(self) -> None:
        """Measure no more, and log what was measured last: a short training has it, too."""
        self._monitor.finish()
        self._monitor.collect_metrics()
        self._monitor.publish_metrics(self._monitor.aggregate_metrics())
        self._monitor.mlflow_logger.flush()
