"""What the preflight and `doctor` check of S3: the buckets, the state bucket's calls, and the clock."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from worker.checks import Check, asked_at, fatality
from worker.core.base.classify import is_denial, is_key_fault
from worker.core.base.credential_faults import require_credentials
from worker.core.base.errors import ObjectGoneError, QueueError, StoreError
from worker.core.clients import Clients
from worker.core.s3.state import CONTROL_PREFIX, NO_CONDITIONS
from worker.notifications import destinations_of, sources_of

LONGEST_SKEW_S = 240
"""AWS rejects signatures that are off by 300 s."""
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
"""With these codes S3 refuses requests for a bucket of another region, where boto3 does not follow them."""
NO_NOTIFICATIONS = frozenset({"NotImplemented", "MethodNotAllowed"})
"""With these codes compatible stores answer that they have no notifications."""
NO_SUCH_KEY = "s3-index-worker/doctor asks for a key that does not exist"


def bucket_listed(clients: Clients, bucket: str, setting: str) -> Check:
    """Whether a bucket exists and may be listed; `setting` is what names it, empty for an argument."""
    try:
        clients.objects.check_bucket(bucket)
    except StoreError as error:
        require_credentials(error)
        if error.code == "NoSuchBucket":
            hint = f"{setting}={bucket}: is the name correct?" if setting else _gone(bucket)
            return Check("", "error", f"{bucket} does not exist", hint, "config")
        if error.code in _ELSEWHERE:
            hint = f"{setting or 'BUCKET'}={bucket}: set AWS_REGION to the region of this bucket, which must be that of the queue"
            return Check("", "error", f"{bucket} is in another region: {error}", hint, "config")
        if is_denial(error.code):
            hint = (
                f"allow s3:ListBucket on {bucket}: without it, S3 returns 403 for a missing key, and removals fail; or the bucket "
                f"is of another account: is {setting or 'the name'} correct?"
            )
            return Check("", "error", "s3:ListBucket was denied: access denied", hint, fatality(error))
        where = asked_at("s3", clients.aws.s3().meta.endpoint_url, "AWS_REGION")
        hint = f"{where}, and is there a network route to it?"
        return Check("", "error", f"no answer: {error}", hint, fatality(error))
    return Check("", "ok", f"{bucket} can be listed")


def own_state(clients: Clients) -> Check:
    """Whether the state bucket is none that notifies the queue: the queue's policy, or the bucket's notifications, may say so.

    A queue's policy need not name the bucket (a wildcard, or a store without policies), and the notifications need a
    permission of their own: either of them is enough for a refusal.
    """
    bucket, attributes = clients.state.bucket, clients.source.attributes()
    if bucket in sources_of(attributes.get("Policy", "")):
        return _notifies(bucket)
    try:
        destinations = destinations_of(clients.state.notifications())
    except StoreError as error:
        return _not_known(bucket, error)
    if attributes.get("QueueArn") in destinations:
        return _notifies(bucket)
    if destinations:
        what = f"whether {bucket} notifies the queue is not known: it sends events to {', '.join(destinations)}"
        hint = (
            "no files belong into the state bucket: if these events reach the queue, remove the bucket's notification"
        )
        return Check("", "warning", what, hint)
    return Check("", "ok", f"{bucket} does not notify the queue")


def _notifies(bucket: str) -> Check:
    what = (
        f"{bucket} notifies the queue, and is the state bucket: whoever uploads there could forge the worker's records"
    )
    hint = "set STATE_BUCKET to a bucket that no one but the worker may write to, or STATE_BUCKET_SHARED=yes"
    return Check("", "error", what, hint, "config")


def _not_known(bucket: str, error: StoreError) -> Check:
    """The bucket's notifications cannot be read. That alone keeps no worker from starting."""
    require_credentials(error)
    what = f"whether {bucket} notifies the queue is not known"
    if error.code in NO_NOTIFICATIONS:
        return Check("", "ok", f"{what}: this store sends no notifications ({error.code})")
    if is_denial(error.code):
        return Check(
            "", "warning", f"{what}: s3:GetBucketNotification was denied", f"allow s3:GetBucketNotification on {bucket}"
        )
    return Check("", "warning", f"{what}: {error.code}: {error}", f"see the results for {bucket}")


def sources(clients: Clients, default: str | None, buckets: Sequence[str]) -> Iterator[Check]:
    """Read from each bucket of files: the worker holds back the messages of one in which it can read nothing.

    These are `buckets`, or else `default` (S3_BUCKET) and those that the queue's policy allows to notify it.
    """
    named = dict.fromkeys(buckets, "") if buckets else _own_sources(clients, default)
    if not named:
        what = "which buckets notify the queue is not known: its policy names none, and S3_BUCKET is not set"
        yield Check("", "warning", f"{what}; so none was read", "name them: s3-index-worker doctor BUCKET")
    for bucket, setting in named.items():
        listed = bucket_listed(clients, bucket, setting)
        yield (
            _one_object(clients, bucket)
            if listed.level == "ok"
            else replace(listed, what=_about(bucket, listed.what), fatal="")
        )


def _gone(bucket: str) -> str:
    return f"is the bucket's name correct? If it was deleted: s3-index-worker forget s3://{bucket}"


def _about(bucket: str, what: str) -> str:
    return what if bucket in what else f"{bucket}: {what}"


def _own_sources(clients: Clients, default: str | None) -> dict[str, str]:
    """The buckets of files, each with what names it."""
    found = {default: "S3_BUCKET"} if default else {}
    try:
        policy = clients.source.attributes().get("Policy", "")
    except QueueError:  # there is a result about that
        return found
    return found | {bucket: "the queue's policy" for bucket in sources_of(policy) if bucket not in found}


def _one_object(clients: Clients, bucket: str) -> Check:
    """Read the first object of a bucket, up to its size; where there is none, a key that does not exist."""
    keys: list[str] = []
    try:
        page = clients.objects.list_page(bucket, "", None)
        keys = [one.key for one in page.objects if not one.key.endswith("/")]
        clients.objects.read(bucket, keys[0] if keys else NO_SUCH_KEY, admit=_enough).discard()
    except (_EnoughError, ObjectGoneError):
        pass
    except StoreError as error:
        require_credentials(error)
        if keys and clients.objects.answers_for(bucket, NO_SUCH_KEY):
            what = f"{keys[0]} in {bucket} cannot be read, but others can: {error.code}"
            return Check("", "warning", what, f"its messages fail: allow s3:GetObject on all of {bucket}/*")
        if is_key_fault(error.code) or "kms:" in str(error):
            hint = (
                f"grant this role kms:Decrypt on the key that encrypts {bucket}; its messages are held back until then"
            )
            return Check("", "error", f"nothing in {bucket} can be read: kms:Decrypt: {error}", hint)
        hint = f"allow s3:GetObject on {bucket}/*, and the use of its KMS key; its messages are held back until then"
        return Check("", "error", f"nothing in {bucket} can be read: s3:GetObject: {error}", hint)
    if not keys:
        return Check("", "ok", f"{bucket} is empty; it can be listed, and asked for a key, but no object was read")
    return Check("", "ok", f"{bucket} can be listed, and an object in it read")


def _enough(_size: int) -> None:
    raise _EnoughError


class _EnoughError(Exception):
    """Raised when the answer to a GET has begun, so that nothing more of it need be read."""


def state_round(clients: Clients) -> Check:
    """Write, read and delete a record in the state bucket."""
    key, step = f"{CONTROL_PREFIX}preflight/{os.uname().nodename}-{os.getpid()}.json", "s3:PutObject"
    try:
        clients.state.put(key, b"{}")
        step = "s3:GetObject"
        clients.state.get(key)
        step = "s3:DeleteObject"
        clients.state.delete(key)
    except StoreError as error:
        require_credentials(error)
        where = f"s3://{clients.state.bucket}/{CONTROL_PREFIX}*"
        if is_key_fault(error.code) or "kms:" in str(error):
            hint = f"grant this role kms:Decrypt and kms:GenerateDataKey on the key that encrypts {where}"
            return Check("", "error", f"{step} failed: {error}", hint, fatality(error))
        if is_denial(error.code):
            hint = f"allow {step} on {where}, and likewise on retry-index/*, dead-letters/* and dlq-archive/*"
            return Check("", "error", f"{step} was denied", hint, fatality(error))
        return Check("", "error", f"{step} failed: {error}", f"make sure that {where} can be written", fatality(error))  # fmt: skip
    return Check("", "ok", f"put, get and delete under {CONTROL_PREFIX} in {clients.state.bucket}")


def state_calls(clients: Clients) -> Iterator[Check]:
    """Try the two calls that not every S3-compatible store has; the worker does without either."""
    state, key = clients.state, f"{CONTROL_PREFIX}preflight/{os.uname().nodename}-{os.getpid()}-call.json"
    try:
        state.claim(key, b"{}", instead_of=None)
    except StoreError as error:
        if error.code not in NO_CONDITIONS:
            raise
        yield Check("", "warning", f"no conditional writes: {error}", "several workers may replay the same records, "
                    "which is harmless")  # fmt: skip
    else:
        yield Check("", "ok", "conditional writes")
    state.delete_all([key])  # one by one, if the store refuses the call; the log says so
    yield Check("", "ok", "records can be deleted")


def clock(clients: Clients) -> Check:
    """How far this machine's clock is from S3's."""
    clients.state.calibrate_clock()
    s3_clock = clients.objects.clock
    skew_s, sure_s = s3_clock.skew_s(), s3_clock.uncertainty_s
    if sure_s == float("inf"):
        return Check(
            "",
            "warning",
            "S3's answers have no Date header",
            "observations are dated by this machine's clock: keep it synchronised (chrony)",
        )
    if abs(skew_s) > LONGEST_SKEW_S:
        return Check(
            "",
            "warning",
            f"this machine's clock differs from S3's by {skew_s:+.0f} s",
            "synchronise it (chrony): AWS rejects requests that are off by 300 s",
        )
    return Check("", "ok", f"differs from S3's by {skew_s:+.3f} s (±{sure_s * 1000:.0f} ms)")
