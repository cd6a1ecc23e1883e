"""Notifications to systemd: READY, STATUS, WATCHDOG, STOPPING (sd_notify(3)); none are sent if it does not listen."""

import os
import socket


def notify(**state: str) -> None:
    """Send assignments such as READY="1", STATUS="serving"; silently nothing outside a Type=notify unit."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    text = "\n".join(f"{name}={value}" for name, value in state.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1)
        try:
            sock.sendto(text.encode(), address)
        except OSError:  # systemd busy or gone: its watchdog will tell, we must not fail for it
            return


def watchdog_interval_s() -> float | None:
    """Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises; None where no watchdog watches this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 2_000_000
