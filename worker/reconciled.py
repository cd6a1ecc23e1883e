"""Serves what `reconcile_index` has found last, for alerts on it: that command ends, and cannot be asked itself."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from worker.core.s3.reconciled import ReconciledBucket, read_reconciled
from worker.core.s3.state import State


class ReconciledMetrics:
    """Gauges by bucket. There are none of a bucket that was never reconciled: no alert is about it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._objects = self._gauge("reconcile_objects", "Objects at the last reconcile_index.", "bucket", "state")
        self._orphans = self._gauge("reconcile_orphans", "Documents without an object at that time.", "bucket")
        self._unaccounted = self._gauge(
            "reconcile_unaccounted", "Objects and documents that the last two runs could not account for.", "bucket"
        )
        self._success = self._gauge(
            "reconcile_last_success_timestamp_seconds", "When the last reconcile_index was complete.", "bucket"
        )
        self._shown: set[tuple[Gauge, tuple[str, ...]]] = set()

    def read(self, state: State) -> None:
        """Show what the state bucket says now. Raises StoreError; what was shown last stays then."""
        self.show(list(read_reconciled(state)))

    def show(self, found: Iterable[ReconciledBucket]) -> None:
        """Show these, and nothing of other buckets any more."""
        shown: set[tuple[Gauge, tuple[str, ...]]] = set()

        def set_to(gauge: Gauge, value: float, *labels: str) -> None:
            gauge.labels(*labels).set(value)
            shown.add((gauge, labels))

        for one in found:
            for state, count in one.states.items():
                set_to(self._objects, count, one.bucket, state)
            set_to(self._orphans, one.orphans, one.bucket)
            set_to(self._unaccounted, one.repeated, one.bucket)
            set_to(self._success, one.at_ms / 1000, one.bucket)
        for gauge, labels in self._shown - shown:
            gauge.remove(*labels)
        self._shown = shown

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)
