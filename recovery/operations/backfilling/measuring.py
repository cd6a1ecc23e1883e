"""Measures what it takes to read and extract some objects. Nothing is changed."""

import resource
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from recovery.operations.backfilling.sources import Candidate
from worker.core.base.classify import is_transient
from worker.core.base.concurrency import as_done
from worker.core.base.errors import WorkerError
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.index.document import Write
from worker.core.index.open import is_sqlite, open_index
from worker.core.indexing.pipeline import Pipeline, Product

LONGEST_SAMPLE_S = 60.0
"""After so many seconds, no further object of the sample is read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What reading and extracting some objects has taken."""

    objects: int
    size_bytes: int
    seconds: float
    cpu_s: float
    with_index: bool
    """Whether writing to the index is included: to SQLite, of which there can be a second one beside the real one."""
    failures: int
    """Number of objects that could not be read."""

    @property
    def per_second(self) -> float:
        """Objects per second."""
        return self.objects / max(self.seconds, 1e-3)


def measure(settings: Settings, clients: Clients, sample: Sequence[Candidate], stop: threading.Event) -> Sample:
    """Read and extract these objects as a worker does, a few before the clock starts: the first ones start processes."""
    threads = settings.worker_concurrency
    built: list[tuple[int, Product]] = []
    failures = 0
    with closing(make_extractor(settings)) as extractor, ThreadPoolExecutor(threads, "sample") as pool:
        pipeline = Pipeline(settings, clients.objects, extractor=extractor)

        def build(one: Candidate) -> tuple[int, Product] | WorkerError:
            try:
                return retry_transient(lambda: _built(pipeline, one), transient=is_transient, stop=stop)
            except WorkerError as error:
                return error

        for _ in pool.map(build, sample[: min(threads, len(sample) // 5)]):
            pass
        began, cpu_s = time.monotonic(), _cpu_s()
        with closing(as_done(pool, build, _until(stop, sample, began + LONGEST_SAMPLE_S), window=threads)) as results:
            for one in results:
                if isinstance(one, WorkerError):
                    failures += 1
                elif one is not None:
                    built.append(one)
        seconds = time.monotonic() - began
    with_index = is_sqlite(settings)
    if with_index:
        seconds += _writing_s(settings, [product.write for _, product in built])
    return Sample(len(built), sum(size for size, _ in built), seconds, _cpu_s() - cpu_s, with_index, failures)


def _built(pipeline: Pipeline, one: Candidate) -> tuple[int, Product]:
    """The size and the document of an object."""
    found = pipeline.read(one.bucket, one.key)
    return (0, found) if isinstance(found, Product) else (found.size, pipeline.document(found))


def _until(stop: threading.Event, sample: Sequence[Candidate], end_s: float) -> Iterator[Candidate]:
    for one in sample:
        if stop.is_set() or time.monotonic() > end_s:
            return
        yield one


def _writing_s(settings: Settings, writes: list[Write]) -> float:
    """Seconds that it takes to write documents to an SQLite index, one that is made for this and removed."""
    with tempfile.TemporaryDirectory(dir=settings.temp_dir) as folder:
        url = SecretStr(f"sqlite:///{Path(folder).absolute()}/sample.db")
        with closing(open_index(settings.model_copy(update={"index_url": url}))) as index:
            index.ensure()
            began = time.monotonic()
            for start in range(0, len(writes), settings.bulk_documents):
                index.write(writes[start : start + settings.bulk_documents])
            return time.monotonic() - began


def _cpu_s() -> float:
    """CPU seconds that this process and its children that have ended have taken so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
