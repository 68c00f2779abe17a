"""Metrics of the machine, recorded if ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`` is set.

They go through the run's journal like all other metrics, so that an absent store loses none.
"""

import threading
from collections.abc import Callable, Mapping

from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

Record = Callable[[Mapping[str, float], int], None]


class MachineMetrics:
    """Records ``system/...`` metrics until it is stopped, if the user enabled them.

    MLflow's variables set the interval: ``MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`` (10 s),
    ``MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING``, ``MLFLOW_SYSTEM_METRICS_NODE_ID``.
    """

    def __init__(self, run_id: str, record: Record) -> None:
        self._record = record
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        if not MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(run_id)
        self._thread = threading.Thread(target=self._work, name="machine metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Record the last measurement and stop."""
        if self._thread is not None:
            self._end.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        step = 0
        while not self._end.is_set():
            for _ in range(max(1, self._monitor.samples_before_logging)):
                self._monitor.collect_metrics()
                if self._end.wait(self._monitor.sampling_interval):
                    break
            node = f"{self._monitor.node_id}/" if self._monitor.node_id else ""
            values = self._monitor.aggregate_metrics()
            for one in self._monitor.monitors:
                one.clear_metrics()
            try:
                self._record({f"system/{node}{key}": value for key, value in values.items()}, step)
            except OSError:
                return  # the disk is full: the run itself reports it
            step += 1
