"""obstore sends a request exactly where boto3 would, by the same proxy, and trusts the same certificates.

Both are observed by a proxy that ends each tunnel itself.
"""

import textwrap

import pytest

from tests.support.tls import OBJECT, Authority, serving, set_bare_environment
from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError
from worker.core.base.logs import observe
from worker.core.s3 import bucket_store
from worker.core.s3.store import S3ObjectStore


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    set_bare_environment(monkeypatch, config=tmp_path / "config")
    return monkeypatch


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def a_store(folder, region="eu-central-1"):
    return S3ObjectStore(Aws(region=region), spool_bytes=1024, max_object_bytes=1024, temp_dir=folder)


def by_obstore(record):
    return [one for one in record.asked if "boto" not in one.agent.lower()]


def by_boto3(record):
    return [one for one in record.asked if "boto" in one.agent.lower()]


SERVICES = "[default]\nservices = ours\n[services ours]\ns3 =\n  endpoint_url = https://s3.example.com:8443/prefix\n"
CASES = {
    "nothing": ("eu-central-1", {}, "", "our-files", "https://our-files.s3.eu-central-1.amazonaws.com"),
    "us-east-1": ("us-east-1", {}, "", "our-files", None),
    "us-east-1 regional": ("us-east-1", {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional"}, "", "our-files",
                           "https://our-files.s3.us-east-1.amazonaws.com"),
    "fips": ("us-east-2", {"AWS_USE_FIPS_ENDPOINT": "true"}, "", "our-files",
             "https://our-files.s3-fips.us-east-2.amazonaws.com"),
    "fips in the file": ("us-east-2", {}, "[default]\nuse_fips_endpoint = true\n", "our-files",
                         "https://our-files.s3-fips.us-east-2.amazonaws.com"),
    "dual stack": ("eu-central-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "our-files",
                   "https://our-files.s3.dualstack.eu-central-1.amazonaws.com"),
    "dual stack in the file": ("eu-central-1", {}, "[default]\ns3 =\n  use_dualstack_endpoint = true\n", "our-files",
                               "https://our-files.s3.dualstack.eu-central-1.amazonaws.com"),
    "fips and dual stack": ("us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"}, "",
                            "our-files", "https://our-files.s3-fips.dualstack.us-gov-west-1.amazonaws.com"),
    "China": ("cn-north-1", {}, "", "our-files", "https://our-files.s3.cn-north-1.amazonaws.com.cn"),
    "China, dual stack": ("cn-north-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "our-files", None),
    "GovCloud": ("us-gov-west-1", {}, "", "our-files", "https://our-files.s3.us-gov-west-1.amazonaws.com"),
    "sovereign cloud": ("eusc-de-east-1", {}, "", "our-files", "https://our-files.s3.eusc-de-east-1.amazonaws.eu"),
    "isolated": ("us-iso-east-1", {}, "", "our-files", "https://our-files.s3.us-iso-east-1.c2s.ic.gov"),
    "dots": ("eu-central-1", {}, "", "our.files", "https://s3.eu-central-1.amazonaws.com/our.files"),
    "an older name": ("us-east-1", {}, "", "Our_Files", "https://s3.amazonaws.com/Our_Files"),
    "path style": ("eu-central-1", {}, "[default]\ns3 =\n  addressing_style = path\n", "our-files",
                   "https://s3.eu-central-1.amazonaws.com/our-files"),
    "accelerated": ("eu-central-1", {}, "[default]\ns3 =\n  use_accelerate_endpoint = true\n", "our-files",
                    "https://our-files.s3-accelerate.amazonaws.com"),
    "an endpoint": ("eu-central-1", {"AWS_ENDPOINT_URL_S3": "https://minio.example.com:9000"}, "", "our-files",
                    "https://minio.example.com:9000/our-files"),
    "an endpoint of all services": ("eu-central-1", {"AWS_ENDPOINT_URL": "https://local.example.com"}, "", "our-files",
                                    "https://local.example.com/our-files"),
    "an endpoint in the file": ("eu-central-1", {}, "[default]\nendpoint_url = https://file.example.com\n", "our-files",
                                "https://file.example.com/our-files"),
    "an endpoint of the service in the file": ("eu-central-1", {}, SERVICES, "our-files",
                                               "https://s3.example.com:8443/prefix/our-files"),
    "configured endpoints ignored": ("eu-central-1", {"AWS_ENDPOINT_URL_S3": "https://minio.example.com:9000",
                                     "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", "our-files",
                                     "https://our-files.s3.eu-central-1.amazonaws.com"),
    "an endpoint and virtual hosts": ("eu-central-1", {"AWS_ENDPOINT_URL_S3": "https://minio.example.com:9000"},
                                      "[default]\ns3 =\n  addressing_style = virtual\n", "our-files",
                                      "https://our-files.minio.example.com:9000"),
    "a VPC endpoint": ("eu-central-1",
                       {"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-1a-2b.s3.eu-central-1.vpce.amazonaws.com"}, "",
                       "our-files", "https://bucket.vpce-1a-2b.s3.eu-central-1.vpce.amazonaws.com/our-files"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_obstore_asks_where_boto3_asks(case, environment, authority, tmp_path):
    region, given, config, bucket, expected = CASES[case]
    (tmp_path / "config").write_text(textwrap.dedent(config))
    with serving(authority=authority) as (port, record):
        for name, value in {
            **given, "HTTPS_PROXY": f"http://127.0.0.1:{port}", "AWS_CA_BUNDLE": str(authority.path),
        }.items():  # fmt: skip
            environment.setenv(name, value)
        objects = a_store(tmp_path, region)
        objects.s3.get_object(Bucket=bucket, Key="a/b c.txt")
        found = objects.read(bucket, "a/b c.txt")
        objects.head(bucket, "a/b c.txt")
        objects.put(bucket, "a/b c.txt", b"{}", metadata={})
    assert found.body == b"some text"
    [boto3_asked] = by_boto3(record)
    assert [one.method for one in by_obstore(record)] == ["GET", "HEAD", "PUT"]
    for one in by_obstore(record):
        assert one.url == boto3_asked.url
        assert scope(one) == scope(boto3_asked)
    assert expected is None or boto3_asked.url == f"{expected}/a/b%20c.txt"
    assert set(record.handshakes) == {"ok"}


def scope(asked):
    """Date, region and service of a signature."""
    return asked.authorization.partition("Credential=key/")[2].partition(",")[0]


def test_a_bucket_of_s3_express_is_read_by_boto3_alone(environment, authority, tmp_path):
    bucket = "files--euc1-az1--x-s3"
    session = (
        b"<CreateSessionResult><Credentials><SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>"
        b"<AccessKeyId>k</AccessKeyId><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"
    )

    def respond(asked):
        return (200, {}, session) if "session" in asked.path else (200, OBJECT, b"some text")

    with serving(authority=authority, respond=respond) as (port, record):
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        environment.setenv("AWS_CA_BUNDLE", str(authority.path))
        assert a_store(tmp_path).read(bucket, "a.txt").body == b"some text"
    assert by_obstore(record) == []


@pytest.mark.parametrize("setting", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_a_server_with_an_authority_of_its_own_is_read_without_a_failed_handshake(
    setting, environment, authority, tmp_path
):
    if setting == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.path}\n")
    else:
        environment.setenv(setting, str(authority.path))
    with serving(context=authority.context("127.0.0.1")) as (port, record):
        environment.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{port}")
        objects = a_store(tmp_path)
        for _ in range(5):
            assert objects.read("our-files", "a.txt").body == b"some text"
    assert set(record.handshakes) == {"ok"}
    assert len(record.handshakes) <= 2, "a connection returns to obstore's pool a moment after its body has been read"
    assert (len(by_obstore(record)), by_boto3(record)) == (5, [])


def test_a_server_of_an_unknown_authority_is_read_by_neither(environment, authority, tmp_path):
    with serving(context=authority.context("127.0.0.1")) as (port, record):
        environment.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{port}")
        with pytest.raises(Exception, match="SSL"):
            a_store(tmp_path).read("our-files", "a.txt")
    assert record.asked == []


def test_a_certificate_that_only_boto3_accepts_costs_few_handshakes(environment, authority, tmp_path, monkeypatch):
    """A server's certificate that is an authority too is refused by rustls as a server's, and accepted by OpenSSL."""
    context, path = authority.self_signed("127.0.0.1")
    environment.setenv("AWS_CA_BUNDLE", str(path))
    events = []
    end = observe(lambda event, fields: events.append((event, fields)))
    with serving(context=context) as (port, record):
        environment.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{port}")
        objects = a_store(tmp_path)
        for _ in range(20):
            assert objects.read("our-files", "a.txt").body == b"some text"
    end()
    failed = [one for one in record.handshakes if one != "ok"]
    assert len(failed) == bucket_store.FAILURES
    assert [event for event, _ in events] == ["store.obstore_failing"]
    assert len(record.asked) == 20


@pytest.mark.parametrize("bad", ["missing", "not a certificate"])
def test_a_bundle_that_is_no_file_is_a_wrong_setting(bad, environment, tmp_path):
    environment.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    if bad == "not a certificate":
        (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE=.*none\.pem"):
        Aws(region="eu-central-1").s3()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("through", [True, False])
def test_a_proxy_is_used_by_both_or_by_neither(host, through, environment, tmp_path):
    with serving() as (port, record), serving() as (proxy_port, proxy):
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        environment.setenv("HTTP_PROXY", f"http://user:p%40ss@127.0.0.1:{proxy_port}")
        environment.setenv("ALL_PROXY", "http://127.0.0.1:9")
        environment.setenv("NO_PROXY", "" if through else host)
        objects = a_store(tmp_path)
        objects.read("our-files", "a.txt")
        objects.s3.get_object(Bucket="our-files", Key="a.txt")
    used, unused = (proxy, record) if through else (record, proxy)
    assert (len(by_obstore(used)), len(by_boto3(used)), unused.asked) == (1, 1, [])
    assert set(proxy.passwords) == ({"user:p@ss"} if through else set())


def test_a_proxy_that_boto3_does_not_know_is_not_used(environment, tmp_path):
    """obstore would take ALL_PROXY, and HTTPS_PROXY in spite of NO_PROXY for a part of the name."""
    with serving() as (port, record):
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        environment.setenv("ALL_PROXY", "http://127.0.0.1:9")
        a_store(tmp_path).read("our-files", "a.txt")
    assert len(by_obstore(record)) == 1


def test_a_bucket_in_another_region_is_read_there_once_boto3_was_redirected(environment, authority, tmp_path):
    def respond(asked):
        if "eu-west-3" in asked.host:
            return 200, OBJECT, b"some text"
        page = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"
        return 301, {"x-amz-bucket-region": "eu-west-3", "x-amz-request-id": "1"}, page

    with serving(authority=authority, respond=respond) as (port, record):
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        environment.setenv("AWS_CA_BUNDLE", str(authority.path))
        objects = a_store(tmp_path)
        objects.read("our-files", "a.txt")
        del record.asked[:]
        objects.read("our-files", "a.txt")
    assert [one.url for one in by_obstore(record)] == ["https://our-files.s3.eu-west-3.amazonaws.com/a.txt"]
    assert by_boto3(record) == []


@pytest.mark.parametrize(
    "given",
    [
        {"AWS_ENDPOINT_URL_S3": "https://user:geheim@minio.example.com"},
        {"AWS_ENDPOINT_URL_S3": "https://user:ge#heim@minio.example.com"},
        {"HTTPS_PROXY": "http://user:ge#heim@proxy.example.com:3128"},
        {"HTTPS_PROXY": "http://user:geheim日本@proxy.example.com:3128"},
    ],
)
def test_a_password_in_an_address_is_in_no_error(given, environment):
    for name, value in given.items():
        environment.setenv(name, value)
    with pytest.raises(ConfigError) as raised:
        Aws(region="eu-central-1").s3()
    assert next(iter(given)) in str(raised.value)
    assert not any(part in repr(raised.value) for part in ("geheim", "heim@", "ge#h"))
