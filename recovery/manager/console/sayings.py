"""Sentences that other parts of this program say in English, such as why something is refused: those that are translated.

`{name}` stands for whatever stands there: a value, or another of these sentences. Of two that fit, the first counts, so the
longer one stands before one that it begins with.
"""

from recovery.manager.console.languages import N_
from recovery.manager.console.sayings_right import RIGHT

SAYINGS = (
    N_("Not Found"),
    N_("Method Not Allowed"),
    N_("the search page is off: SEARCH_PAGE=on turns it on, and shows every document to everyone who may sign in"),
    # What keeps a dead letter as it is
    N_("its record is gone"),
    N_("nothing is known of it"),
    N_("the object of this dead letter, {key}, is gone"),
    N_("it has changed since you looked at it: look again, and repeat what you wanted"),
    N_("it is {state}: it has no record any more"),
    N_("nothing: it is {state}, and has no record any more"),
    N_("nothing: it is {state}; the archive keeps it, until it is purged, and can restore it"),
    N_("it is held: {why}"),
    N_("{by} holds it: {why}"),
    N_("{by} has sent it to {queue}; what came of that is not known yet"),
    N_("{by} is acting on it ({run})"),
    N_("others are acting on it at this moment"),
    N_("its record has changed meanwhile"),
    N_("it is no longer stored: someone has dealt with it meanwhile, as the audit says"),
    N_("its record could not be read or written: {why}"),
    N_("its record cannot be read: {why}"),
    N_("{key} is being written by others all the time"),
    N_("it was sent already"),
    N_("it was taken over"),
    N_("it is not scheduled any more"),
    N_("one before it was not sent"),
    N_("before the interruption"),
    N_("sent, but its record could not be marked"),
    N_("it is not in dlq-archive/"),
    N_("it could not be archived: {why}"),
    N_("perhaps sent: no answer said so, and it was not sent again"),
    N_("the operation has stopped"),
    N_("sent, but its archive record could not be updated: {why}"),
    N_("at {date}T{time}Z"),
    # What must not be sent
    N_("it must not be sent as it is: {fault}"),
    N_("it is of a FIFO queue, whose order automatic retries do not keep: redrive it"),
    N_("its queue is not known: redrive it to one"),
    N_("it was already redriven {n} times; --force sends it nevertheless"),
    N_("{why}; --force sends it without its redrive count"),
    N_("message missing correlation_id, cannot safely redrive"),
    N_("{field}: does not fit {rule}"),
    N_("does not fit {rule}"),
    N_("the body is not JSON; the types are {types}"),
    N_("the body is of no known type; the types are {types}"),
    N_("it is a message of type {type}, which only its own consumer can process: redrive it"),
    N_(
        "nothing is known of the queue in which it failed that would allow sending it there automatically: "
        "redrive it with --to QUEUE"
    ),
    N_(
        "nothing is known of the queue in which it failed, {queue}, that would allow sending it there "
        "automatically: redrive it with --to QUEUE"
    ),
    N_("not retried: {why}"),
    N_("{why}; retries are used up: nothing resends it automatically"),
    N_("retries are used up: nothing resends it automatically"),
    # What came of a sending
    N_("nothing can confirm its work, because INDEX_URL is not set for the manager"),
    N_("it was sent, its queue has been empty since, and it has not come back"),
    N_("neither its work nor its return was seen in time: it may be sent again; {why}"),
    N_("neither its work nor its return was seen in time: it may be sent again"),
    N_("neither its work nor its return was seen in time"),
    N_("the text of {name} could not be read again ({status}): it is about to come back"),
    N_("the document of {name} is parked in {place}"),
    N_("the document of {name} waits in {place}"),
    N_("the index does not hold {name} as it is now, seen after the sending"),
    N_("S3 does not say what became of {name}: {why}"),
    # What is wrong with a message
    N_(
        "its {bytes} bytes and {attributes} attributes leave no room for a failure record within the queue's "
        "limits of {most} and {number}"
    ),
    N_("its {bytes} bytes and {attributes} attributes are over the queue's limits of {most} and {number}"),
    N_(
        "the body is a JSON object with {names}; it should be an S3 event, an SNS notification, an "
        "EventBridge event or {example}"
    ),
    N_("the fields {names}"),
    N_("no fields"),
    N_("{name} is not JSON: {why}"),
    N_("{name} is JSON, but it is {kind}; it should be an object"),
    N_("Records is {kind}; it should be a list of records"),
    N_("{name} has nothing as its {field}; it should be a string"),
    N_("{name} has nothing as its {field}; it should be an object"),
    N_("{name} has {kind} as its {field}; it should be a string"),
    N_("{name} has {kind} as its {field}; it should be an object"),
    N_("{name} is {kind}; it should be an object"),
    N_("{name}.eventVersion is {version}; only 2.x is supported"),
    N_("CloudTrail's record of {name} names no object (that of DeleteObjects never does); use S3's own notifications"),
    N_("the body names a key but no bucket, and S3_BUCKET is not set"),
    N_("the {name} is empty"),
    N_("the {name} {value} contains a lone surrogate; names in S3 are valid UTF-8"),
    N_("the bucket {value} cannot be a bucket's name; it should be one such as our-files, not a URL, path or ARN"),
    N_("the key has {n} bytes; S3's limit is {most}"),
    N_("{name} is {value}, which cannot be decoded as UTF-8: {why}"),
    N_("{name} is a required property"),
    N_("the SNS notification"),
    N_("the SNS message"),
    N_("the EventBridge event"),
    N_("the body"),
    N_("an empty list"),
    N_("a boolean"),
    N_("a number"),
    N_("a string"),
    N_("a list"),
    N_("an object"),
    # Copies
    N_("it is an S3 event, and is not edited: the worker reads the object as it is now; redrive it"),
    N_("the body has {mark}, which stands for what REDACT_FIELDS hides: write what is to be sent there"),
    N_("the body is that of the original: change it, or redrive the original"),
    N_("the body has control characters or lone surrogates, which SQS does not take"),
    N_("the body is an S3 event; a copy of one is not sent, because the worker reads the object as it is now"),
    N_("the body is of type {type}; it should be of type {wanted}, as the original"),
    N_("the body has {n} characters; at most {most} can be sent"),
    N_("it failed in {queue}, whose failures do not come here: name the queue in `to`"),
    N_("{queue} refuses: {why}"),
    N_(
        "nobody knows whether the copy was sent to {queue} ({why}); the original is held, so that it is not "
        "sent twice: look into that queue whether it came, before you release it"
    ),
    N_("{why}; nothing was sent, but the original is still held: {error}"),
    N_("an edited copy, {id}, was sent to {queue}; release it to act on it again"),
    N_(
        "an edited copy, {id}, is being sent to {queue}; if this stays, look into that queue whether it "
        "came, before you release it"
    ),
    N_("the queue '{value}' {why}"),
    # What people write
    N_("reason is empty; whoever meets the hold will want to know why"),
    N_("{field} has {n} characters; at most {most} are kept"),
    N_("{field} has control characters; it should be plain text"),
    # What stops an operation
    N_(
        "{back} of the {sent} that were sent have come back, more than {share}: remove the cause first, then "
        "make another plan; the rest is as it was"
    ),
    N_("{why}; what follows must not overtake it"),
    N_(
        "{skipped} of {all} messages have nothing to index: check INCLUDE_KEYS and EXCLUDE_KEYS, then "
        "confirm with --accept-skipped. Those already settled are in dlq-archive/"
    ),
    N_(
        "{gone} of {all} messages refer to objects that are gone: check S3_BUCKET, the region and the "
        "endpoint, then confirm with --accept-gone. The bodies of those already deleted are in the audit"
    ),
    N_(
        "{count} of {all} messages failed with {error}, which is not the error that brought them to the DLQ: "
        "check the settings and the mapping of the index"
    ),
    N_("the fleet is paused by {by}: {why}. Run `s3-index-worker resume` first, or use --while-paused"),
    N_("the fleet is paused by {by}: {why}"),
    N_("the state bucket {bucket}: {why}"),
    N_("the bucket {bucket} cannot be listed: {why}"),
    N_("{why}. Nothing was touched: recovery needs the index"),
    N_("{queue} is the DLQ itself; it must be the queue that the messages came from"),
    N_(
        "SQS_QUEUE_URL={queue} dead-letters to {arn}, not to DLQ_QUEUE_URL={dlq}: name the queue of these "
        "messages with --to QUEUE"
    ),
    N_("{queue} has no redrive policy that leads to DLQ_QUEUE_URL={dlq}"),
    N_("SQS_QUEUE_URL: {why}"),
    # What recovery would do
    N_("recovery cannot begin: {why}. The command says what is wrong; nothing is lost meanwhile"),
    N_("recovery cannot begin: {why}"),
    N_("this takes longer than usual, because a file is being read; ask again"),
    N_("{why}. The fleet is paused: without --while-paused, the command refuses"),
    N_("{why}. Until this has changed, every command leaves it alone; look at it again then"),
    N_("{why}. Until then, the command keeps it"),
    N_("{why}. The same command tries again, and keeps it as long as this lasts"),
    N_("{why}. What it names is indexed nevertheless, if only by its name"),
    N_("{why}; if the index refuses the document, it goes to retry-index/"),
    N_("it can never be processed: {fault}"),
    N_("it has been redriven {n} times and failed again; {why}"),
    N_("it is valid, and only its own consumer can process it. {why}"),
    N_("it is valid, and only its own consumer can process it"),
    N_("it is valid; without INDEX_URL, its document cannot be checked or recovered"),
    N_("create s3://{bucket} again, if it should exist"),
    N_("grant s3:GetObject on s3://{bucket}/* to the worker's role, and kms:Decrypt if it is encrypted"),
    N_("replace s3://{object} by a file that can be read"),
    N_("correct the cause, which is named below"),
    N_("recovery would archive it, because there is nothing to index: {why}"),
    N_("recovery would archive it, because there is nothing to index"),
    N_("recovery would only remove it: the index holds the object as it is now"),
    N_("recovery would remove it, and the document if there is one: the object no longer exists"),
    N_("recovery would index it: its object can be read"),
    N_("recovery would store its document in retry-index/, because the index refuses it: {why}"),
    N_("recovery would store its document in retry-index/, because the index refuses it"),
    N_("recovery would archive it: {why}"),
    N_("recovery would archive it"),
    N_("recovery could not decide when it was looked at: {why}"),
    N_("recovery could not decide when it was looked at"),
    N_("recovery would keep it until the cause is corrected: {why}"),
    N_("recovery would keep it until the cause is corrected"),
    N_("neither the index nor retry-index/ accepts it: {why}"),
    N_("it could not be written to the state bucket: {why}"),
    # What was asked
    N_("not asked: INDEX_URL is not set for the manager"),
    N_("cannot be asked: {why}"),
    N_("{name} cannot be asked: {why}"),
    N_("the index: {why}"),
    N_("the queue"),
    N_("the dead-letter queue"),
    N_("the ledger"),
    N_("{name} has more records than are looked through; those of the last month were"),
    N_("dead letters whose keys REDACT_FIELDS hides are not found by their key"),
    N_("no answer within {n} s"),
    N_("too much is being asked at this moment; ask again"),
    N_("has not answered in time; ask again"),
    N_("the state bucket has not answered in time; ask again"),
    N_("{name} has not answered in time; ask again"),
    # What the manager answers
    N_("there is no dead letter with this id; one that ended is forgotten after a time"),
    N_("there is no such group: none of its dead letters is in the ledger; those that ended are forgotten"),
    N_("there is no plan with this id; one that was not used is forgotten {n} minutes after it was made"),
    N_("there is no operation with this id; those that ended long ago are forgotten"),
    N_("there is no such path; /openapi.json lists them all"),
    N_("the runbook has no section of this name"),
    N_("this plan is used by the operation {id} already; make another"),
    N_("this plan is older than {n} minutes; make another"),
    N_("more than {n} dead letters are selected; that is the most that fit into one plan"),
    N_("the operation is {state}: it cannot become {other} now"),
    N_("this is for the role {role}; {who} has {other}, and nobody has more with MANAGER_AUTH=none"),
    N_("this is for the role {role}; {who} has {other}"),
    N_("too many requests: ask again in {n} s"),
    N_("the token is unknown, revoked or expired"),
    *RIGHT,
    # What keeps retries from being sent
    N_("no worker has reported in the last {n} minutes"),
    N_("{name} is unavailable, says {worker}: {why}"),
    N_("{worker} has stopped: {why}"),
    N_("{worker} cannot work: {why}"),
    N_("{names} breakers are open, says {worker}"),
    # What is wrong with a search
    N_("{why}. To find this as text, put it in quotation marks: {example}"),
    N_("{part}: the quotation mark has no other one; close it, or leave it out"),
    N_("{part}: there is nothing between the quotation marks; write a phrase, as in {example}"),
    N_("{part}: {value} is not an extension; {right}"),
    N_("{part}: {value} is not a bucket's name; {right}"),
    N_("{part}: {value} is not a size; {right}"),
    N_("{part}: {value} is not a date; {right}"),
    N_("{part}: there is nothing right after the colon; {right} (in a shell, > and < need quotes: {example})"),
    N_("{part}: there is nothing right after the colon; {right}"),
    N_("{part}: there is no field {name}; the nearest is {field}: {right}"),
    N_("{part}: there is no field {name}; the fields are {names}"),
    N_("{part}: write it without a space, {right}"),
    N_("give one or several, as in ext:pdf or ext:pdf,docx"),
    N_("give a bucket's name, as in bucket:our-files"),
    N_("give a number with b, kb, mb, gb or tb, as in size:>1mb or size:<=500kb"),
    N_("give a day, a month or a year, as in after:2026-01-31, after:2026-01 or after:2026"),
    N_("give a day, a month or a year, as in before:2026-01-31, before:2026-01 or before:2026"),
    N_("ext, bucket, size, after and before"),
    N_("after and before leave nothing between them; the first must be below the second"),
    N_("the sizes leave nothing between them; the first must be below the second"),
    N_("{text}: has nothing that can be searched for; give a word, a number or a filter such as ext:pdf"),
    N_("{text}: only says what to leave out; add a word or a filter that a hit must have"),
    N_("the query has {n} characters; the most are {most}"),
    N_("the query has over {n} words, of which only the first {most} would count; leave some out"),
    # What is wrong with the settings, or with the manager
    N_("{name} is not a setting; {other} is: did you mean that?"),
    N_("{name} is not a setting: docs/reference/settings.md has them all"),
    N_("correct its name, or remove it: nothing reads it"),
    N_("correct NOTIFY_URLS and OWNERS; docs/manager.md has examples"),
    N_("the thread {name} makes no progress"),
    N_("intake is on hold: {why}"),
    N_("{n} notifications could not be sent in 24 h: {why}"),
    N_("nobody is notified of failures"),
    N_("set NOTIFY_URLS, or watch the alerts in config/"),
    N_("{n} prefixes have owners, but nobody is notified of failures of the system, nor of used-up retries"),
    N_("set NOTIFY_URLS"),
    N_("INDEX_URL is not set: no recovery is confirmed, and dead letters of an unknown kind are not diagnosed"),
    N_("set INDEX_URL to the workers' index"),
    N_("no token is valid: no program can ask"),
    N_("run `dlq-manager token create`"),
)
