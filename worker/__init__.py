"""The daemon: turns each S3 event into a searchable document, and settles every message."""

__version__ = "0.1.0"
