"""The command line of `dlq`."""

from recovery.cli.verb import app
from worker.terminal import run_app

__all__ = ["app", "main"]


def main() -> None:
    """Run a verb. An error is shown as one sentence on stderr, with its exit code."""
    run_app(app)


if __name__ == "__main__":
    main()
