"""Every event that is logged: its name, which is an interface, and what it means to an operator.

`emit` takes nothing else, and docs/reference/events.md is made from this list.
"""

from enum import StrEnum


class LogEvent(StrEnum):
    """The names of log events: family, dot, what happened."""

    ARCHIVE_NOT_A_DEAD_LETTER = "archive.not_a_dead_letter"
    """An object under `dlq-archive/` is not one of our records; it is left alone."""

    AUDIT_RECORDED = "audit.recorded"
    """An operator's command changed something; the whole record is at `record` in the state bucket."""
    AUDIT_UNREADABLE = "audit.unreadable"
    """An entry of the audit is not one of ours; the manager passes over it."""

    AUTOMATION_FAILED = "automation.failed"
    """What the manager does automatically (`what`: retries, confirmation, diagnosis or notify) failed; nothing is lost, and it
    tries again. Logged once per outage."""

    BACKFILL_PROGRESS = "backfill.progress"
    """The progress of backfill_index, every ten seconds where there is no terminal; `eta_s` if the number of objects is known."""

    BRAKE_APPLIED = "brake.applied"
    """Nearly all messages fail as SYSTEM_ERROR (`failed` of the last `of`): the worker receives nothing until the fleet is resumed.
    `reason` says why, `commands` what sends again what has gone to the dead-letter queue."""
    BRAKE_RECORD_FAILED = "brake.record_failed"
    """The record of this worker's brake, in `s3-index-worker/brakes/`, could not be read or written; the next look tries again."""

    BREAKER_CLOSED = "breaker.closed"
    """What the breaker guards (`index`, or the bucket `s3://…`) answers again; normal work resumes."""
    BREAKER_OPENED = "breaker.opened"
    """The index, or everything in a bucket, is unavailable. Without the index, documents go to `retry-index/`; the
    messages of a bucket that cannot be read go back to the queue."""
    BREAKER_PROBE_FAILED = "breaker.probe_failed"
    """Still unavailable; the next probe follows."""

    BUDGET_COUNTED = "budget.counted"
    """How a cap of BUDGET_CAPS stands today: `used` of `limit`, in all workers. A warning from 90% on, once a day."""
    BUDGET_HELD = "budget.held"
    """An object is over the cap of its prefix: it waits in `retry-index/held/`, and is read once there is room."""
    BUDGET_LAG = "budget.lag"
    """How long the oldest message has waited (`lag_s`) while a budget stops the polling. A warning, once an hour, from three
    quarters of the time (`retention_s`) after which SQS drops it."""
    BUDGET_UNREADABLE = "budget.unreadable"
    """The budget record in the state bucket could not be read or written; this worker stops polling once its share is
    used up, until it can. Logged once per cause."""

    CLAIM_NOT_ENDED = "claim.not_ended"
    """The claim on a stored dead letter could not be ended; until it expires, others leave that dead letter alone."""

    CLOCK_JUMPED = "clock.jumped"
    """S3's clock, or this machine's, was set by `seconds`: several answers of S3 agree on it."""

    CLOUDWATCH_FAILED = "cloudwatch.failed"
    """One set of figures did not reach CloudWatch; the work is not affected."""

    CONFIRM_RECOVERED = "confirm.recovered"
    """S3 and the index confirm the work of dead letters that were sent again; their records are deleted."""
    CONFIRM_UNCONFIRMED = "confirm.unconfirmed"
    """A dead letter was sent again, and neither its work nor its return was seen in time: look at it, and send it again."""

    DLQ_HANDED_OFF = "dlq.handed_off"
    """A failed message is in the dead-letter queue, with its failure record."""
    DLQ_SPILLED = "dlq.spilled"
    """The dead-letter queue refused a failed message (`why`); it is stored in `dead-letters/` instead."""
    DLQ_UNREACHABLE = "dlq.unreachable"
    """Neither the dead-letter queue nor `dead-letters/` accepted a failed message: it stays in the source queue
    and reappears. Correct the permissions or addresses of both."""

    EXTRACT_CHILD_STARTED = "extract.child_started"
    """A child process that parses files was started."""

    FIGURES_NOT_READ = "figures.not_read"
    """Figures of the state bucket (`what`) could not be read, a bug in this program: the last ones stay in the metrics."""

    GATE_CLEARED = "gate.cleared"
    """One reason for pausing work is gone."""
    GATE_SHUT = "gate.shut"
    """Polling stops and messages in flight wait: an operator paused the fleet, or S3 is unavailable."""

    HANDLER_BUG = "handler.bug"
    """An unforeseen error, a bug in this program: the message goes to the dead-letter queue with its stack trace."""

    HEARTBEAT_ENDED = "heartbeat.ended"
    """SQS no longer knows the receipt handle: the message has been settled, or will be received again."""
    HEARTBEAT_FAILED = "heartbeat.failed"
    """The visibility of a message could not be changed; it may be processed twice, which is harmless."""

    INDEX_BULK = "index.bulk"
    """One bulk request was answered."""
    INDEX_CREATED = "index.created"
    """A template, index, alias or file was missing and has been created."""
    INDEX_FINDING = "index.finding"
    """The index differs from what our template would create; `hint` says what to do."""
    INDEX_STORED_FOR_RETRY = "index.stored_for_retry"
    """A document is in `retry-index/` because the index was unavailable, or, if `rejected`, because the index refuses it."""
    INDEX_WRITE_FAILED = "index.write_failed"
    """An unforeseen error while writing, a bug in this program; the documents are stored for retry."""

    INTAKE_DELETE_FAILED = "intake.delete_failed"
    """SQS did not delete a dead letter that was taken in; it arrives again, and is then recognised."""
    INTAKE_RESTING = "intake.resting"
    """The manager takes in no dead letters, because the ledger, the state bucket or the queue refuses. It keeps trying."""
    INTAKE_RESUMED = "intake.resumed"
    """The manager is taking in dead letters again."""
    INTAKE_TAKEN_IN = "intake.taken_in"
    """A dead letter is stored in `dead-letters/` and in the ledger: `result` is new, returned or repeated."""

    LEDGER_RECORD_MISSING = "ledger.record_missing"
    """The record of a dead letter is gone from `dead-letters/`, and the audit does not say why. Restore it from an earlier
    version of the object (`name`), if the bucket keeps versions."""

    MANAGER_STARTED = "manager.started"
    """The manager is ready: it takes in dead letters, and listens on `port`."""
    MANAGER_STOPPED = "manager.stopped"
    """The last line of the manager; what it had received and not taken in arrives again."""
    MANAGER_STOPPING = "manager.stopping"
    """The manager takes in what it has received, then exits."""

    MESSAGE_DELETE_FAILED = "message.delete_failed"
    """SQS did not delete a message whose effect is durable: it reappears and is processed again, which is harmless."""
    MESSAGE_RELEASE_FAILED = "message.release_failed"
    """A message could not be released early: it reappears when its visibility timeout ends."""
    MESSAGE_SETTLED = "message.settled"
    """The end of each message: `bucket` and `key`, or the number of `records`; `outcome`: done, failed, release; `note`: why."""
    MESSAGE_STUCK = "message.stuck"
    """The work on a message made no progress for too long: the message is let go, and the worker exits with 70."""

    METRICS_UNAVAILABLE = "metrics.unavailable"
    """The port of `/metrics` cannot be used; the work is not affected."""

    NOTICES_OWNER_NOT_RECORDED = "notices.owner_not_recorded"
    """The owner that was found for a dead letter could not be written to its record; the owner is notified all the same."""

    NOTIFICATION_FAILED = "notification.failed"
    """A notification was not accepted (`error`); it is tried again, each time after twice the wait."""
    NOTIFICATION_GIVEN_UP = "notification.given_up"
    """A notification was not accepted for over five hours, and is no longer tried: `/api/v1/notifications` has its text."""
    NOTIFICATION_SENT = "notification.sent"
    """A notification was accepted by the service that delivers it."""

    OBSERVER_FAILED = "observer.failed"
    """Counting an event in the metrics failed, a bug in this program; the work is not affected."""

    OPERATION_ENDED = "operation.ended"
    """An operation has ended: `done`, `failed` or `cancelled`, with what has become of its dead letters. If it failed, `error`
    says why; the runbook says what to do."""
    OPERATION_INTERRUPTED = "operation.interrupted"
    """An operation cannot be continued for now, as `error` says. It is tried again automatically, by this or another manager."""
    OPERATION_TAKEN = "operation.taken"
    """This manager executes an operation from now on."""

    PAUSE_UNREADABLE = "pause.unreadable"
    """Whether the fleet is paused could not be read; it stays as it was."""

    PREFLIGHT_CHECK = "preflight.check"
    """One check at start-up: info, warning or error, as `doctor` shows them."""

    QUEUE_RECEIVE_FAILED = "queue.receive_failed"
    """SQS refused a receive; the next follows after `retry_s` seconds. `hint` names the permission if one is missing."""
    QUEUE_RECEIVED = "queue.received"
    """One receive was answered; `lags_s` are the seconds that each message had waited."""

    RECORD_DONE = "record.done"
    """The end of one record of a message that has several."""
    RECORD_SKIPPED = "record.skipped"
    """A record requires no action: a test event, an event that changes nothing, an excluded key."""

    RECONCILE_FINISHED = "reconcile.finished"
    """A run of reconcile_index is complete; `unaccounted` objects and documents are in no place where they should be."""
    RECONCILE_PROGRESS = "reconcile.progress"
    """The progress of reconcile_index, every ten seconds where there is no terminal; `eta_s` if the bucket was counted before."""

    RECOVER_BUG = "recover.bug"
    """An unforeseen error, a bug in this program: the message stays in the dead-letter queue."""
    RECOVER_DELETE_FAILED = "recover.delete_failed"
    """SQS or S3 did not delete what is settled; the next run finds it done."""
    RECOVER_NOT_A_DEAD_LETTER = "recover.not_a_dead_letter"
    """An object under `dead-letters/` is not one of our records; it is left alone."""
    RECOVER_PROGRESS = "recover.progress"
    """The progress of recover_dlq, every ten seconds where there is no terminal."""
    RECOVER_SETTLED = "recover.settled"
    """What became of one dead letter: `result`, with the reason where it is not obvious."""

    REDRIVE_PROGRESS = "redrive.progress"
    """The progress of `dlq redrive-all`, every ten seconds where there is no terminal."""

    REINDEX_PROGRESS = "reindex.progress"
    """The progress of `reindex_index`, every ten seconds where there is no terminal."""
    REINDEX_FOLLOWED = "reindex.followed"
    """A reindex has begun, or has ended (`run`): from now on, this process writes to these indexes (`writes_to`)."""

    REINDEX_REJECTED_BY_OLD = "reindex.rejected_by_old"
    """After the switch, the old `index` rejects a document that the new one has: it would not be found after a rollback."""

    REPLAY_BUG = "replay.bug"
    """An unforeseen error, a bug in this program: the record stays in `retry-index/`."""
    REPLAY_FAILED = "replay.failed"
    """The worker's own replay of `retry-index/` failed; it is tried again after `retry_s` seconds."""
    REPLAY_FINISHED = "replay.finished"
    """One run over `retry-index/` has ended: `counts` by result; `complete` unless it was interrupted."""
    REPLAY_PARKED = "replay.parked"
    """A record of `retry-index/` was refused too often; it waits in `retry-index/parked/` for an operator."""
    REPLAY_PROGRESS = "replay.progress"
    """The progress of replay_retry_index, every ten seconds where there is no terminal."""
    REPLAY_RECORD = "replay.record"
    """What became of one record of `retry-index/`: `result`, with the reason where it was not written."""

    RETRY_ENDED = "retry.ended"
    """A dead letter is no longer resent automatically: its retries are used up, or it must not be sent as it is (`why`)."""
    RETRY_FAILED = "retry.failed"
    """Dead letters that were due could not be resent automatically; the manager keeps trying."""
    RETRY_RESUMED = "retry.resumed"
    """The index, S3 and the fleet are healthy again: what is due is sent, at RETRY_RATE."""
    RETRY_SENT = "retry.sent"
    """Dead letters whose time had come were sent to their queue again."""
    RETRY_WAITING = "retry.waiting"
    """Dead letters are due to be sent again, and wait because the index, S3 or the fleet is not healthy (`why`)."""

    REQUEST_ANSWERED = "request.answered"
    """The manager's API answered a request; `route` is the path's template, and no ids and no queries are logged. Those of
    `/health` and `/metrics` are logged at level debug only."""
    REQUEST_FAILED = "request.failed"
    """An unforeseen error, a bug in the manager, met a request: it was answered with 500, or cut off."""
    REQUEST_UNAVAILABLE = "request.unavailable"
    """The manager's API answered 503, because the ledger or the state bucket refused; nothing was changed."""

    SIGN_IN_ACCEPTED = "sign_in.accepted"
    """Somebody has signed in to the manager with a browser, at the OpenID provider or by a token."""
    SIGN_IN_REFUSED = "sign_in.refused"
    """The manager refused a token, or a sign-in at the OpenID provider; from which address, and why. Many from one address may be
    somebody who tries, or a program whose token has expired."""

    STATE_FALLBACK = "state.fallback"
    """The state bucket's store does not have a call (`what`); another way is used from now on (`instead`)."""

    STORE_OBSTORE_FAILING = "store.obstore_failing"
    """boto3 reads what obstore cannot read in this bucket (`error`); for `rest_s` seconds, boto3 is used at once, which takes
    eleven times the CPU."""
    STORE_PANICKED = "store.panicked"
    """obstore panicked over a request; boto3 made it instead."""

    THREAD_DIED = "thread.died"
    """A thread ended with an error: the worker exits with 70, for systemd to restart it."""
    THREAD_SILENT = "thread.silent"
    """A thread makes no progress; the watchdog is no longer fed."""

    THROTTLE_LIFTED = "throttle.lifted"
    """A service (`service`) has refused nothing for long enough that what is sent to it is no longer limited."""
    THROTTLE_LIMITED = "throttle.limited"
    """A service (`s3`, `sqs`, `index`) refuses because there are too many requests: it is sent `per_second` at first, and what it
    allows from then on. The current limit is in /metrics and in `systemctl status`."""

    WEB_DIED = "web.died"
    """The manager's web server ended with an error."""
    WEB_LISTENING = "web.listening"
    """The manager's API listens on `host` and `port`."""

    WORKER_RECORD_FAILED = "worker.record_failed"
    """This worker's record in `s3-index-worker/workers/` could not be written, or old ones not removed; the work goes on.
    Logged once per cause."""
    WORKER_RECORD_WRITTEN = "worker.record_written"
    """The record could be written again."""

    UPKEEP_CHECKED = "upkeep.checked"
    """The manager has listed all records, as it does once a day: `missing` are gone without a trace, `pruned` rows were old."""
    UPKEEP_FAILED = "upkeep.failed"
    """The manager could not follow the state bucket, or its daily check was aborted because most records seem to be gone. It
    tries again by itself."""

    WORKER_RECORDS_REMOVED = "worker.records_removed"
    """The records of workers that have been silent for over a week were removed."""
    WORKER_STARTED = "worker.started"
    """Ready and serving."""
    WORKER_STOPPED = "worker.stopped"
    """The last line; `left` messages reappear automatically."""
    WORKER_STOPPING = "worker.stopping"
    """Draining; `in_flight` messages are to be settled or released."""
