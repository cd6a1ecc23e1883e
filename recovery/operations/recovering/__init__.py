"""The parts of `recover`: its request, its preconditions, its batches, and the settlement of each verdict."""
