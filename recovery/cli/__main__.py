"""`python -m recovery.cli`."""

from recovery.cli.main import main

main()
