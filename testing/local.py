"""`python -m testing.local`: S3 and SQS on this machine (moto), for a worker that is run by hand; see docs/local.md.

It makes buckets, queues and the notification between them, and writes their settings to .cache/local/env, for a shell to read.
`python -m testing.local put FILE…` uploads files there. Everything but the index is gone when it ends.
"""

import argparse
import logging
import os
import shlex
import shutil
import signal
import threading
from contextlib import closing
from pathlib import Path

from moto.moto_server.utilities import RegexConverter
from moto.server import ThreadedMotoServer

from worker.core.base.aws import Aws
from worker.core.base.text import one_line
from worker.demo.stage import let_keys_have_line_breaks, make_buckets_and_queues

FOLDER = Path(".cache/local")
BUCKET, STATE_BUCKET, QUEUE = "our-files", "our-worker-state", "files"


def serve(port: int) -> None:
    """Run S3 and SQS until Ctrl-C or SIGTERM."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # otherwise it prints a line for every request
    let_keys_have_line_breaks(RegexConverter)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        host, at = server.get_host_and_port()
        settings = {
            "AWS_ENDPOINT_URL": f"http://{host}:{at}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local", "STATE_BUCKET": STATE_BUCKET, "METRICS_PORT": "0",
            "INDEX_URL": f"sqlite:///{FOLDER.absolute()}/index.sqlite",
        }  # fmt: skip
        os.environ.update(settings)
        settings |= make_buckets_and_queues(BUCKET, STATE_BUCKET, QUEUE)
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        written = FOLDER / "env.new"
        written.write_text(lines)
        written.rename(FOLDER / "env")
        print(f"S3 and SQS are at {settings['AWS_ENDPOINT_URL']} until Ctrl-C; their settings are in {FOLDER}/env")
        over.wait()
    finally:
        (FOLDER / "env").unlink(missing_ok=True)
        server.stop()


def put(files: list[Path]) -> None:
    """Upload files under their names."""
    for line in (FOLDER / "env").read_text().splitlines():
        name, _, value = shlex.split(line)[1].partition("=")
        os.environ[name] = value
    with closing(Aws(region=os.environ["AWS_REGION"]).s3()) as s3:
        for file in files:
            s3.put_object(Bucket=BUCKET, Key=file.name, Body=file.read_bytes())
            print(one_line(f"s3://{BUCKET}/{file.name}"))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m testing.local", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="port of S3 and SQS (default: any free one)")
    parser.add_argument("put", nargs="*", metavar="put FILE", help="upload files instead")
    given = parser.parse_args()
    if not given.put:
        serve(given.port)
    elif given.put[0] != "put" or len(given.put) == 1:
        parser.error(f"{' '.join(given.put)}: it should be put FILE…")
    elif not (FOLDER / "env").exists():
        parser.error(f"{FOLDER}/env is missing: start python -m testing.local first, in another terminal")
    else:
        put([Path(one) for one in given.put[1:]])


if __name__ == "__main__":
    main()
