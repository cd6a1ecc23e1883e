"""What everything else stands on: errors, settings, logs, clock, retries; knows nothing of SQS, S3 or the index."""
