"""What the worker's settings must not be together. Each rule says what is wrong, and what would be correct, or nothing."""

from typing import Any

from worker.core.base.address import parse_address
from worker.core.base.names import own_state_bucket


def _one_queue(settings: Any) -> str | None:
    if settings.sqs_queue_url == settings.dlq_queue_url:
        return "SQS_QUEUE_URL and DLQ_QUEUE_URL are the same queue; failures would come back for ever"
    return None


def _fifo_source(settings: Any) -> str | None:
    return _fifo("SQS_QUEUE_URL", settings.sqs_queue_url)


def _fifo_dlq(settings: Any) -> str | None:
    return _fifo("DLQ_QUEUE_URL", settings.dlq_queue_url)


def _fifo(name: str, url: str) -> str | None:
    if url.endswith(".fifo"):
        return f"{name}={url} is a FIFO queue, which S3 cannot notify; it should be a standard queue"
    return None


def _state_bucket(settings: Any) -> str | None:
    try:
        files = getattr(settings, "s3_bucket", None)  # whatever it should be: one for the records is needed
        own_state_bucket(settings.state_bucket, files, shared=getattr(settings, "state_bucket_shared", False))
    except ValueError as error:
        return str(error)
    return None


def _shutdown(settings: Any) -> str | None:
    if settings.shutdown_timeout_s <= settings.long_poll_s:
        return (
            f"SHUTDOWN_TIMEOUT_S must exceed LONG_POLL_S: the open poll is awaited in a shutdown; they are "
            f"{settings.shutdown_timeout_s} and {settings.long_poll_s}"
        )
    return None


def _port(settings: Any) -> str | None:
    if settings.metrics_port + settings.worker_instance > 65_535:
        return "METRICS_PORT + WORKER_INSTANCE is over 65,535, the highest port"
    return None


def sign_in(settings: Any) -> str | None:
    """A user goes with a password, both in INDEX_URL or both as settings of their own."""
    user, password = settings.index_user is not None, settings.index_password is not None
    if user and not password:
        return "INDEX_USER is set, but INDEX_PASSWORD is missing; set both or neither"
    if password and not user:
        return "INDEX_PASSWORD is set, but INDEX_USER is missing; set both or neither"
    url = settings.index_url.get_secret_value()
    address = parse_address(url) if url.lower().startswith("http") else None
    if address is None or address.user is None:
        if settings.index_auth == "basic" and not user:
            return "INDEX_AUTH is basic, but INDEX_USER or INDEX_PASSWORD is missing"
        return None
    if user and (address.user, address.password) != (settings.index_user, settings.index_password.get_secret_value()):
        return (
            "INDEX_URL has a user and password, and INDEX_USER and INDEX_PASSWORD are others; remove those in INDEX_URL"
        )
    if not address.password and not user:
        return "INDEX_URL has a user without a password; remove it there, and set INDEX_USER and INDEX_PASSWORD"
    return None


RULES = (_one_queue, _fifo_source, _fifo_dlq, _state_bucket, _shutdown, _port, sign_in)
"""The rules of the worker's settings."""
