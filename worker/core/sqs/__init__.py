"""SQS: queues, messages in flight and their visibility, failure records and dead letters."""
