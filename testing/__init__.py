"""What tests and benchmarks have in common: real servers, the fault proxy, sites to run a worker on."""
