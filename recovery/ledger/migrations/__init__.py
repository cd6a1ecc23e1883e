"""Alembic's migrations of the ledger, shipped inside the package: `Ledger.migrate` runs them, without a configuration file."""
