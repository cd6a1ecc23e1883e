"""What is shared with recovery: what one S3 event means and how it reaches the index."""
