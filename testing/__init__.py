"""Helpers shared by tests and benchmarks: real servers, the fault proxy, and sites on which a worker runs."""
