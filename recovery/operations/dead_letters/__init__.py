"""Reading dead letters from the queue, describing them (type, cause, group, advice), and selecting them."""
