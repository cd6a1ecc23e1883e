"""S3: events about objects, reading objects, and the records that the system keeps in its state bucket."""
