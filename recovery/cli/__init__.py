"""`dlq`, the operator's hand tool: looks at the dead-letter queue, and moves what is in it."""

from recovery.cli.main import app

__all__ = ["app"]
