"""What operators run to recover failed messages and documents. Imports `worker.core`, and nothing else of the worker."""
