"""Leases: which of several managers does what only one may do. Taken over once expired.

They expire on the database's clock: it is the only one that all managers share. On PostgreSQL their hosts' clocks may differ
by more than a lease lasts, and a manager whose clock is fast would take what another holds.
"""

from sqlalchemy import Connection, text

_CLAIM = """
INSERT INTO leases (name, holder, until_ms, epoch) VALUES (:name, :holder, {now} + :ttl_ms, 1)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms, epoch = leases.epoch + 1
WHERE leases.until_ms <= {now}
RETURNING epoch
"""
_RENEW = """
UPDATE leases SET until_ms = {now} + :ttl_ms WHERE name = :name AND holder = :holder AND epoch = :epoch AND until_ms > 0
"""
_RELEASE = "UPDATE leases SET until_ms = 0 WHERE name = :name AND holder = :holder AND epoch = :epoch"


def claim(connection: Connection, now_sql: str, name: str, holder: str, ttl_s: float) -> int | None:
    """Take a lease that nobody holds. Its epoch, which is greater each time; None if somebody holds it, be it `holder`."""
    values = {"name": name, "holder": holder, "ttl_ms": round(ttl_s * 1000)}
    return connection.execute(text(_CLAIM.format(now=now_sql)), values).scalar_one_or_none()


def renew(connection: Connection, now_sql: str, name: str, holder: str, epoch: int, ttl_s: float) -> bool:
    """Hold a lease for longer. False if it was released, or another holder has taken it over since."""
    values = {"name": name, "holder": holder, "epoch": epoch, "ttl_ms": round(ttl_s * 1000)}
    return connection.execute(text(_RENEW.format(now=now_sql)), values).rowcount == 1


def release(connection: Connection, name: str, holder: str, epoch: int) -> bool:
    """Let a lease go at once. False if another holder has taken it over since."""
    return connection.execute(text(_RELEASE), {"name": name, "holder": holder, "epoch": epoch}).rowcount == 1
