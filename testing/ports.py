"""Free loopback ports for servers that must come back on the port they had."""

import random
import socket

# Below Linux's ephemeral range (32768–60999). A port that the kernel hands out may, while the server is down for a
# restart, be taken by any outgoing connection; a client that keeps trying a dead ephemeral port on loopback can even
# connect to itself.
LOWEST = 20_000
HIGHEST = 32_000

_handed_out: set[int] = set()


def free_ports(count: int, lowest: int = LOWEST, highest: int = HIGHEST) -> list[int]:
    """Return ports on which nothing listens; chosen at random, so that two runs at the same time rarely meet."""
    candidates = [port for port in range(lowest, highest) if port not in _handed_out]
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
