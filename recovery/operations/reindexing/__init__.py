"""The parts of `reindex`: what it is asked and answers, its record, how the new index is filled, and how it is compared."""
