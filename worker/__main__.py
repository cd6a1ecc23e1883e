"""`python -m worker` is `s3-index-worker`."""

from worker.cli import main

if __name__ == "__main__":
    main()
