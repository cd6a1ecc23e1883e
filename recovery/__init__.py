"""What operators run to bring back what failed; built on `worker.core` alone."""
