"""From an object to its document in the index: pipeline, writing, replay, and what waits in `retry-index/`."""
