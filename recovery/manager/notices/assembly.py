"""Makes what notifies from the settings."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from recovery.ledger.ledger import Ledger
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.notices.channels import Channels, open_channels
from recovery.manager.notices.notices import Notices
from recovery.manager.notices.owners import Owner, parse_owners
from recovery.manager.notices.routing import OwnerDesk, Router
from recovery.manager.notices.wording import Wording
from recovery.manager.settings import ManagerSettings
from worker.core.base.aws import Aws
from worker.core.s3.metadata import user_metadata
from worker.core.s3.state import State


@dataclass(frozen=True, slots=True)
class Notifying:
    """What the settings say about notifications."""

    channels: Channels
    owners: tuple[Owner, ...]
    wording: Wording

    @property
    def notifies(self) -> bool:
        """Whether anybody is to be notified."""
        return not self.channels.is_empty


def open_parts(settings: ManagerSettings, port: Callable[[], int]) -> Notifying:
    """Read the settings; nothing is sent. `port`: at which the manager listens. Raises ConfigError for a wrong address."""
    owners = parse_owners(settings.owners.get_secret_value())
    link = settings.base_url or f"http://127.0.0.1:{settings.manager_port}"
    channels = open_channels(settings.notify_urls.get_secret_value(), owners, link=link)
    wording = Wording(settings.notify_language, lambda: settings.base_url or f"http://127.0.0.1:{port()}")
    return Notifying(channels, owners, wording)


def make_notices(
    settings: ManagerSettings, parts: Notifying, ledger: Ledger, state: State, aws: Aws, metrics: ManagerMetrics, *,
    now_ms: Callable[[], int], stop: threading.Event,
) -> Notices:  # fmt: skip
    """Make what notifies."""
    desk = OwnerDesk(state, ledger)
    router = Router(parts.channels, parts.owners, partial(user_metadata, aws.s3()), desk, stop)
    return Notices(
        ledger, parts.channels, router, parts.wording, metrics, every_s=settings.notify_every_s,
        keep_days=settings.ledger_keep_days, now_ms=now_ms,
    )  # fmt: skip
