"""Where `s3-index-worker` starts."""

from worker.interruption import start


def main() -> None:
    """Run the command line, or say what it can do."""
    start("s3-index-worker", "worker.cli")
