"""Where the programs of operators start; what runs them is imported only once it is known that they are to run."""

from worker.interruption import start


def dlq() -> None:
    """`dlq`."""
    start("dlq", "recovery.cli.main")


def recover_dlq() -> None:
    """`recover_dlq`."""
    start("recover_dlq", "recovery.cli.recover_dlq")


def replay_retry_index() -> None:
    """`replay_retry_index`."""
    start("replay_retry_index", "recovery.cli.replay_retry_index")


def reconcile_index() -> None:
    """`reconcile_index`."""
    start("reconcile_index", "recovery.cli.reconcile_index")


def backfill_index() -> None:
    """`backfill_index`."""
    start("backfill_index", "recovery.cli.backfill_index")


def reindex_index() -> None:
    """`reindex_index`."""
    start("reindex_index", "recovery.cli.reindex_index")


def dlq_manager() -> None:
    """`dlq-manager`."""
    start("dlq-manager", "recovery.manager.cli")
