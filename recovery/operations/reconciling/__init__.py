"""The parts of `reconcile`: what it is asked and answers, its work file, what is held where, the second look, the repair."""
