"""The command line of `dlq`. Importing the modules of the verbs registers them."""

from recovery.cli.verb import app
from recovery.cli.verbs import (
    abandon,
    export,
    groups,
    import_file,
    inspect,
    interactive,
    list_messages,
    purge,
    recover,
    redrive,
    restore,
    stats,
)
from worker.terminal import run_app

__all__ = ["app", "main"]

VERBS = (
    stats, list_messages, groups, inspect, redrive, recover, abandon, restore, export, import_file, purge, interactive
)  # fmt: skip
"""Modules of verbs, in the order in which the help shows them."""

_order = [module.__name__ for module in VERBS]
app.registered_commands.sort(key=lambda command: _order.index(command.callback.__module__) if command.callback else 0)


def main() -> None:
    """Run a verb. An error is shown as one sentence on stderr, with its exit code."""
    run_app(app)


if __name__ == "__main__":
    main()
