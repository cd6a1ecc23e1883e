"""What keeps the tree true: docs against code, the lock against pyproject.toml, sizes. Used by the Makefile alone."""
