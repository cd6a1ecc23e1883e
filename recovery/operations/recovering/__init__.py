"""One run over the dead-letter queue: what must hold before it, its batches, and what follows from each verdict."""
