"""Free loopback ports for servers that must use the same port again after a restart."""

import os
import random
import socket

# These are below Linux's range of ephemeral ports (32768–60999). While our server is down for a restart, an outgoing
# connection could take an ephemeral port; and a client that keeps trying a closed ephemeral port on loopback can even
# connect to itself.
LOWEST = 20_000
HIGHEST = 32_000

SHARES = 16
"""Sessions that run side by side take their ports from different shares: between choosing a port and listening on it, a server
needs seconds, in which another session could choose the same one."""

_handed_out: set[int] = set()


def free_ports(count: int, lowest: int = LOWEST, highest: int = HIGHEST) -> list[int]:
    """Return ports on which nobody listens, chosen at random, so that two runs at the same time rarely collide."""
    session = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")  # gw0, gw1, …
    share = int(session or SHARES - 1) % SHARES
    candidates = [port for port in range(lowest, highest) if port % SHARES == share and port not in _handed_out]
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    if len(found) < count:
        raise RuntimeError(f"only {len(found)} of {count} ports are free between {lowest} and {highest}")
    _handed_out.update(found)
    return found


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
