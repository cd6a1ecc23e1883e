"""Whether a call to a queue keeps failing, and what would help. One failure is logged; a lasting one is shown as a state."""

import re
import threading
import time

from worker.core.base.classify import is_denial, is_key_fault
from worker.core.base.text import one_line

LASTING_S = 15.0
"""Failures for so long are a state: a permission that was just given, or a leader change, takes seconds."""
STALE_S = 180.0
"""So long after the last failure, the state is not known any more: nothing is received while the fleet is paused. It exceeds
the slowest receive (consumer.MAX_SILENCE_S) and the longest wait between two."""


class CallHealth:
    """The latest results of one kind of call. May be used from any thread."""

    def __init__(self, action: str, queue: str) -> None:
        """`action` is AWS's name for the right to make the call, such as sqs:ReceiveMessage."""
        self._action = action
        self._queue = queue
        self._lock = threading.Lock()
        self._since = self._last = 0.0
        self._error = ""

    def succeeded(self) -> None:
        """Note that a call succeeded."""
        self._since = 0.0

    def failed(self, code: str, message: str) -> None:
        """Note that a call failed, with SQS's code and message."""
        said, hint = one_line(message) if code in message else f"{code}: {one_line(message)}", self.hint(code, message)
        with self._lock:
            now = time.monotonic()
            if not self._since or now - self._last > STALE_S:
                self._since = now
            self._last = now
            self._error = f"{said[:300]}" + (f"; {hint}" if hint else "")

    @property
    def fault(self) -> str:
        """Why the call has been failing for a while; empty if it has not, or if that is not known."""
        now = time.monotonic()
        with self._lock:
            lasted_s = self._last - self._since
            if not self._since or lasted_s < LASTING_S or now - self._last > STALE_S:
                return ""
            return f"{self._action} on {self._queue} has been failing for {lasted_s:.0f} s: {self._error}"

    def hint(self, code: str, message: str = "") -> str:
        """What to allow, if a permission is missing or a key cannot be used; otherwise empty."""
        return permission_hint(self._action, self._queue, code, message)


def permission_hint(action: str, queue: str, code: str, message: str = "") -> str:
    """What to allow for a call that failed with this code, if a permission is missing or a key cannot be used; or empty."""
    key_action = re.search(r"\bkms:\w+", message)
    if is_key_fault(code) or (key_action and is_denial(code)):
        needed = (
            key_action[0] if key_action else "kms:GenerateDataKey and kms:Decrypt" if _sends(action) else "kms:Decrypt"
        )
        return f"grant this role {needed} on the key that encrypts {queue}, and make sure that the key is enabled"
    return f"grant this role {action} on {queue}" if is_denial(code) else ""


def _sends(action: str) -> bool:
    return action == "sqs:SendMessage"
