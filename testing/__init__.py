"""What tests and benchmarks share: real servers, the fault proxy, sites to run a worker on."""
