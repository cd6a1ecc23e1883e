"""Checks of this repository: docs against the code, the lock against pyproject.toml, sizes. Only the Makefile uses them."""
