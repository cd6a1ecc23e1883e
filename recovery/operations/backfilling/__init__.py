"""The parts of `backfill`."""
