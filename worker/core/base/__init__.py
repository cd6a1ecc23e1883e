"""The foundation of all other modules: errors, settings, logs, clock, retries. It knows nothing of SQS, S3 or the index."""
