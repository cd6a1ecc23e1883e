"""`python -m recovery.cli`."""

from recovery.cli.programs import dlq

dlq()
