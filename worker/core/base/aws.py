"""Create the boto3 clients with every important default set explicitly, and wrap the SDK's errors."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError, NoRegionError, PartialCredentialsError

from worker.core.base.address import QueuePlace, address_without_user, proxy_for, queue_place
from worker.core.base.certificates import require_certificates
from worker.core.base.classify import TRANSIENT_CODES
from worker.core.base.clock import iso_moment
from worker.core.base.errors import ConfigError, DependencyError, QueueError, StoreError
from worker.core.base.throttle import Throttles, watch

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

CONNECT_TIMEOUT_S = 5
S3_READ_TIMEOUT_S = 20
LONGEST_POLL_S = 20
SQS_READ_TIMEOUT_S = LONGEST_POLL_S + 10
"""Longer than the longest poll; otherwise the client would close the connection to a quiet queue (docs/evidence.md, SQS)."""
METADATA_ATTEMPTS = 5
METADATA_TIMEOUT_S = 3

NO_ANSWER = "ResponseParserError"
"""botocore's name for an answer that it cannot parse."""
NO_CREDENTIALS = "CredentialRetrievalError"
"""botocore's name for credentials that it cannot get at present."""
CREDENTIAL_ERRORS: tuple[type[Exception], ...] = (BotoCoreError, OSError)
"""What signing a request with botocore's credentials may raise."""
SERVER_ERRORS = 500
NOT_IMPLEMENTED = 501
"""A definite answer: the server does not have this call, or this header."""

DateObserver = Callable[[float, str, float], None]


class Aws:
    """The clients of one process, for one region and one set of credentials. Clients are thread-safe."""

    def __init__(
        self,
        *,
        region: str | None = None,
        connections: int = 32,
        profile: str | None = None,
        sqs_endpoint: str | None = None,
    ) -> None:
        """`connections`: how many requests to one service may be in progress at once; `sqs_endpoint`: URL, if not AWS's own."""
        import boto3  # takes 0.1 s, which a command does not need that asks no AWS
        from botocore import utils

        try:
            self._session = boto3.Session(region_name=region, profile_name=profile)
        except BotoCoreError as error:
            raise ConfigError(f"AWS_PROFILE: {error}") from error
        core = self._session._session  # noqa: SLF001 (boto3 offers no other way to these two)
        # By default, EC2's metadata service is queried once with a timeout of 1 s, which is too little on a busy host
        # (docs/evidence.md, boto3 and obstore).
        core.set_config_variable("metadata_service_num_attempts", METADATA_ATTEMPTS)
        core.set_config_variable("metadata_service_timeout", METADATA_TIMEOUT_S)
        # botocore's own parser takes two thirds of the CPU of a listing.
        core.get_component("response_parser_factory").set_parser_defaults(
            timestamp_parser=lambda said: iso_moment(said) or utils.parse_timestamp(said)
        )
        self._core = core
        self._connections = connections
        self._sqs_endpoint = sqs_endpoint
        self._sqs: dict[tuple[str | None, str | None], SQSClient] = {}
        self._lock = threading.Lock()
        self.throttles = Throttles()
        """What this process may send to the services, for all who share these clients."""

    @property
    def region(self) -> str | None:
        """The region that is used."""
        return self._session.region_name

    def credentials(self) -> Any:
        """botocore's credentials, which it refreshes when they expire.

        Raises ConfigError if only a part of them is given, and DependencyError if there are none at present: a role may not be
        attached yet, and what provides them may not answer.
        """
        try:
            found = self._session.get_credentials()
        except PartialCredentialsError as error:
            raise ConfigError(str(error)) from error
        except (BotoCoreError, OSError) as error:
            raise DependencyError(f"the AWS credentials cannot be retrieved: {error}") from error
        if found is None:
            raise DependencyError(
                "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or give the "
                "host a role"
            )
        return found

    def sqs(self, queue_url: str | None = None) -> "SQSClient":
        """A client for queues, or for the queue of this URL: in its region, and at its host if that is not AWS's usual one.

        boto3 itself ignores the host, and so a VPC endpoint's too. An endpoint that is set takes precedence.
        """
        place = QueuePlace(None, None) if queue_url is None else queue_place(queue_url, self._dns_suffixes())
        region = place.region or self.region
        with self._lock:
            endpoint = self._sqs_endpoint or self._endpoint_of(place, region)
            if (endpoint, region) not in self._sqs:
                self._sqs[endpoint, region] = self._client(
                    "sqs", SQS_READ_TIMEOUT_S, endpoint_url=endpoint, region_name=region
                )
                watch(self._sqs[endpoint, region], self.throttles.sqs)
            return self._sqs[endpoint, region]

    def _endpoint_of(self, place: QueuePlace, region: str | None) -> str | None:
        """The place's own endpoint, unless another one is set for SQS, or it is the one that boto3 would use."""
        if place.endpoint is None:
            return None
        used = self._client("sqs", SQS_READ_TIMEOUT_S, region_name=region).meta.endpoint_url
        usual = self._client("sqs", SQS_READ_TIMEOUT_S, region_name=region, ignore_configured_endpoint_urls=True)
        return None if used != usual.meta.endpoint_url or used == place.endpoint else place.endpoint

    def _dns_suffixes(self) -> list[str]:
        """The ends of AWS's usual host names in every partition, such as amazonaws.com and amazonaws.com.cn."""
        return sorted({one["outputs"]["dnsSuffix"] for one in self._core.get_data("partitions")["partitions"]})

    def s3(self, *, observe_date: DateObserver | None = None, **config: Any) -> "S3Client":
        """A client for S3; `observe_date` is called for every answer: (time sent, Date header, time received)."""
        client: S3Client = self._client("s3", S3_READ_TIMEOUT_S, **config)
        watch(client, self.throttles.s3)
        if observe_date is not None:
            _watch_dates(client, observe_date)
        return client

    def cloudwatch(self) -> "CloudWatchClient":
        """A client for metrics."""
        client: CloudWatchClient = self._client("cloudwatch", S3_READ_TIMEOUT_S)
        return client

    def certificates(self) -> Path | None:
        """The PEM file of authorities that is to be trusted instead of the usual ones (botocore's `Endpoint` has the rule)."""
        given = self._core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        return Path(given) if given else None

    def _client(
        self,
        service: str,
        read_timeout_s: int,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        **extra: Any,
    ) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            max_pool_connections=self._connections,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": 2},
            **extra,
        )
        name = f"AWS_ENDPOINT_URL_{service.upper()} or AWS_ENDPOINT_URL"
        with aws_errors(ConfigError):
            try:
                client = self._session.client(  # type: ignore[call-overload]
                    service, region_name=region_name, config=config, endpoint_url=endpoint_url
                )
                address_without_user(client.meta.endpoint_url)
            except NoRegionError:
                from worker.core.base.settings_model import NO_REGION, misspelt_settings  # pydantic: not for the client

                raise ConfigError("\n".join([NO_REGION, *misspelt_settings()])) from None
            except InvalidRegionError as error:
                raise ConfigError(f"AWS_REGION (or --region): {error}; it should be one such as eu-central-1") from None
            except ValueError:  # its sentence might quote a password in the address
                raise ConfigError(
                    f"{name}: it should be an address without user and password, such as http://127.0.0.1:9324"
                ) from None
        proxy_for(client.meta.endpoint_url)
        require_certificates(self.certificates())
        return client


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """Where boto3 sends the requests for the objects of one bucket, and for which region it signs them."""

    url: str
    """A slash and a key after it make the address of an object."""
    region: str


class BucketLocator:
    """Finds out from a client where it sends requests, without sending one.

    boto3 derives that from a dozen settings (FIPS, dual stack, partition, style of addressing, endpoints, a redirected bucket's
    region), and no other rule could be the same. So a request for an object is made as far as its address, and then given up.
    """

    def __init__(self, client: "S3Client") -> None:
        self._client = client
        self._asking = threading.local()
        client.meta.events.register_first("before-call.s3.GetObject", self._before_call)

    def __call__(self, bucket: str) -> BucketLocation | None:
        """The location of a bucket; None if requests to it need more than a plain signature (S3 Express), or are not made."""
        self._asking.now = True
        try:
            self._client.get_object(Bucket=bucket, Key=_ANY_KEY)
        except _GivenUpError as given_up:
            return given_up.location
        except (BotoCoreError, ClientError):
            return None
        finally:
            self._asking.now = False
        return None

    def _before_call(self, params: Any, context: Any, **_: Any) -> None:
        if getattr(self._asking, "now", False):
            signing = context.get("signing", {})
            is_plain = context.get("auth_type") in {"v4", "s3v4"} and signing.get("signing_name") == "s3"
            url = str(params["url"]).removesuffix(f"/{_ANY_KEY}")
            raise _GivenUpError(BucketLocation(url, signing.get("region", "")) if is_plain else None)


_ANY_KEY = "key"


class _GivenUpError(Exception):
    """Raised when a request has been made as far as its address."""

    def __init__(self, location: BucketLocation | None) -> None:
        super().__init__()
        self.location = location


@contextmanager
def aws_errors(kind: type[Exception]) -> Iterator[None]:
    """Wrap the SDK's errors as StoreError, QueueError or ConfigError, with the code and a message without secrets.

    An answer with a success status may be invalid: it cannot be decoded, or lacks required fields, because it is some
    proxy's page. This makes the SDK or its caller fail with Python's built-in errors. It is treated as if no answer had
    arrived, which is a transient error.
    """
    try:
        yield
    except ClientError as error:
        raise _wrapped(kind, str(error), _code_of(error)) from error
    except BotoCoreError as error:
        raise _wrapped(kind, str(error), type(error).__name__) from error
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise _wrapped(kind, f"the answer cannot be parsed: {error!r}", NO_ANSWER) from error
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        # the file of a web identity token, which is read when credentials are refreshed
        raise _wrapped(kind, f"the AWS credentials cannot be retrieved: {error}", NO_CREDENTIALS) from error


def _code_of(error: ClientError) -> str:
    """The error's code. Whatever the code of an answer with a status from 500, it is the server's fault, and transient."""
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_transient = status >= SERVER_ERRORS and status != NOT_IMPLEMENTED and code not in TRANSIENT_CODES
    return "ServiceUnavailable" if is_transient else code


def _wrapped(kind: type[Exception], message: str, code: str) -> Exception:
    if issubclass(kind, StoreError | QueueError):
        return kind(message, code=code)
    return kind(message)


class _CallContext(TypedDict, total=False):
    s3iw_sent: float


def _watch_dates(client: Any, observe_date: DateObserver) -> None:
    def before(context: _CallContext, **_: Any) -> None:
        context["s3iw_sent"] = time.monotonic()

    def after(http_response: Any, context: _CallContext, **_: Any) -> None:
        headers, sent = http_response.headers, context.get("s3iw_sent")
        date = headers.get("date")
        is_of_s3 = any(
            name in headers for name in ("x-amz-request-id", "x-amzn-requestid")
        )  # a proxy's page has neither
        if date and sent is not None and is_of_s3:
            observe_date(sent, date, time.monotonic())

    client.meta.events.register("before-call.s3", before)
    client.meta.events.register("after-call.s3", after)
