"""Panics of a library in Rust: a share of obstore's calls end with an error that is no Exception, as PyO3 makes of a panic."""

import os
import random
from collections.abc import Callable
from typing import Any

SHARE = "CHAOS_PANICS"
"""The environment variable that says which share of the calls is to panic."""


def install() -> None:
    """Replace obstore's calls in this process, where the environment says so."""
    share = float(os.environ.get(SHARE, "0"))
    if not share:
        return
    import obstore

    kind = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    rng = random.Random(0)
    for name in ("get", "head", "put"):
        setattr(obstore, name, _panicking(getattr(obstore, name), kind, rng, share))


def _panicking(call: Callable[..., Any], kind: type[BaseException], rng: random.Random, share: float) -> Any:
    def made(*args: Any, **options: Any) -> Any:
        if rng.random() < share:
            raise kind("called `Result::unwrap()` on an `Err` value: by the test")
        return call(*args, **options)

    return made
