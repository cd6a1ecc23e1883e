"""From an object to its document in the index: pipeline, writing, and what waits in `retry-index/`."""
