"""Why a message or a file is at fault: one code for each cause that an operator deals with differently, and a sentence.

The code is in the error and in the failure record, and groups dead letters, whatever the text of the error says. Codes are an
interface: they are never renamed, because a new code is a new group. S3 and SQS have codes of their own, which serve likewise.
"""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """The codes. `sentence` says what each means."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> Self:
        """A code and its sentence."""
        made = str.__new__(cls, code)
        made._value_ = code
        made.sentence = sentence
        return made

    # -- the message ---------------------------------------------------------------------------------------------

    NOT_JSON = "not-json", "the body is not JSON"
    NOT_AN_OBJECT = "not-an-object", "the body is JSON, but not a JSON object"
    SNS_NOT_JSON = "sns-not-json", "the message in the SNS notification is not a JSON object"
    UNKNOWN_EVENT = "unknown-event", "the body is a JSON object, but not an event of a known kind"
    INCOMPLETE_EVENT = "incomplete-event", "a field of the event is missing, or is not of the right type"
    EVENT_VERSION = "event-version", "the event has a version that is not supported"
    NO_BUCKET = "no-bucket", "the body names a key but no bucket, and S3_BUCKET is not set"
    EMPTY_NAME = "empty-name", "the name of the bucket or the key is empty"
    BAD_BUCKET_NAME = "bad-bucket-name", "the bucket's name is one that no bucket can have"
    BAD_KEY_ENCODING = "bad-key-encoding", "the key, or the bucket's name, is not valid UTF-8"
    KEY_TOO_LONG = "key-too-long", "the key is longer than S3 allows"
    NAMES_NO_OBJECT = "names-no-object", "CloudTrail's record of the call names no object"

    # -- the file ------------------------------------------------------------------------------------------------

    PASSWORD = "password", "the file is protected by a password"
    RIGHTS_MANAGEMENT = "rights-management", "the file is protected by rights management (DRM)"
    CORRUPT_PDF = "corrupt-pdf", "the PDF file is broken"
    BROKEN_ZIP = "broken-zip", "the zip container of the file is broken"
    CORRUPT_DOCUMENT = "corrupt-document", "the zip container can be read, but the document in it is broken"
    CORRUPT_OLD_OFFICE = "corrupt-old-office", "the compound file (Office 97 to 2003, Outlook, …) is broken"
    CORRUPT_MAIL = "corrupt-mail", "the e-mail is broken"
    CORRUPT_RTF = "corrupt-rtf", "the RTF file is broken"
    CORRUPT_FILE = "corrupt-file", "the file is broken"
    WRONG_TYPE = "wrong-type", "the file is not of the type that its name says"
    ZIP_BOMB = "zip-bomb", "the file inflates to more than is allowed"
    TOO_COMPLEX = "too-complex", "the file has more parts than are allowed, or they are nested too deeply"
    TIMEOUT = "timeout", "parsing the file took longer than EXTRACT_TIMEOUT_S allows"
    OUT_OF_MEMORY = "out-of-memory", "parsing the file takes more memory than EXTRACT_MEMORY_BYTES allows"
    PARSER_DIED = "parser-died", "the file made its parser crash"
    PARSER_FAILED = "parser-failed", "the parser failed with an error that nobody foresaw"


def cause_of(error: BaseException | None, bucket: str = "") -> str:
    """What failures of one cause have in common, in words; empty if nothing but the type of the error says so."""
    code = str(getattr(error, "reason", ""))
    where = f" in s3://{bucket}" if code and bucket else ""
    return sentence_of(code) or code + where


def sentence_of(code: str) -> str:
    """What a code means; empty for one that is not ours, such as S3's, or of a newer version."""
    return Reason(code).sentence if code in _CODES else ""


_CODES = frozenset(Reason)
