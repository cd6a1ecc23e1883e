"""`python -m worker` is `s3-index-worker`."""

from worker.program import main

if __name__ == "__main__":
    main()
