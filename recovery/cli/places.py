"""The buckets that a command takes where none is named."""

import typer

from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.s3.objects import Place
from worker.notifications import sources_of

DEFAULT_PLACES = "the buckets that the queue's policy allows to notify it, or S3_BUCKET"
"""What `default_places` returns, in words."""


def default_places(settings: Settings, clients: Clients) -> list[Place]:
    """All buckets whose events reach the queue, as far as is known. Raises a usage error if none is, and QueueError."""
    buckets = sources_of(clients.source.attributes().get("Policy", ""))
    if not buckets and settings.s3_bucket:
        buckets = [settings.s3_bucket]
    if not buckets:
        raise typer.BadParameter(
            "is required: the queue's policy names no bucket, and S3_BUCKET is not set", param_hint="s3://BUCKET"
        )
    return [Place(bucket, "") for bucket in buckets]
