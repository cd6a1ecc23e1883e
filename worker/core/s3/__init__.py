"""S3: reading objects, our own state, and what events about objects mean."""
