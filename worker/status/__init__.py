"""`s3-index-worker status`: reads what the queues, the state bucket and the workers say, and judges whether anything is wrong."""
