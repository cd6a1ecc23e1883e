"""The way to the index: by the proxy that boto3 would use, with the index's own certificate authority."""

from contextlib import closing

import pytest

from tests.support.tls import Authority, serving
from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import load
from worker.core.index.client import Client

SQS = "https://sqs.eu-central-1.amazonaws.com/1"
REQUIRED = {"sqs_queue_url": f"{SQS}/q", "dlq_queue_url": f"{SQS}/d", "state_bucket": "state-bucket"}
SECRET = "ge%23heim"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def answer(_asked):
    return 200, {"Content-Type": "application/json"}, b'{"found": true}'


def a_client(url, **settings):
    return Client(load(**REQUIRED, index_url=url, **settings))


def test_https_goes_through_a_tunnel_of_the_proxy(monkeypatch, authority):
    with (
        serving(context=authority.context("127.0.0.1"), respond=answer) as (port, index),
        serving(forward=True, password="user:ge#heim") as (proxy_port, proxy),
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy_port}")
        with closing(a_client(f"https://127.0.0.1:{port}/prefix", index_ca_file=authority.path)) as client:
            assert client.request("POST", "/files/_search", {"size": 0}) == {"found": True}
            assert client.request("GET", "/files") == {"found": True}
    assert proxy.connects == [f"127.0.0.1:{port}"]
    assert [(one.method, one.path) for one in index.asked] == [
        ("POST", "/prefix/files/_search"),
        ("GET", "/prefix/files"),
    ]
    assert index.handshakes == ["ok"]


def test_http_goes_through_the_proxy_too(monkeypatch):
    with serving(respond=answer) as (proxy_port, proxy):
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy_port}")
        with closing(a_client("http://index.example.com:9200")) as client:
            assert client.request("GET", "/files") == {"found": True}
    assert [one.url for one in proxy.asked] == ["http://index.example.com:9200/files"]
    assert proxy.passwords == ["user:ge#heim"]


def test_no_proxy_names_hosts_that_are_reached_directly(monkeypatch, authority):
    with serving(context=authority.context("127.0.0.1"), respond=answer) as (port, index):
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with closing(a_client(f"https://127.0.0.1:{port}", index_ca_file=authority.path)) as client:
            assert client.request("GET", "/files") == {"found": True}
    assert len(index.asked) == 1


@pytest.mark.parametrize("fault", ["refuses", "away", "no name"])
def test_a_proxy_that_does_not_let_through_is_an_outage_and_its_password_in_no_error(monkeypatch, fault):
    with serving(forward=True, password="another:one") as (proxy_port, _):
        place = {"refuses": f"127.0.0.1:{proxy_port}", "away": "127.0.0.1:9", "no name": "proxy.invalid:3128"}[fault]
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{place}")
        with (
            closing(a_client("https://index.example.com")) as client,
            pytest.raises(IndexUnavailableError, match=r"index\.example\.com:443 cannot be reached") as raised,
        ):
            client.request("GET", "/files")
    error: BaseException | None = raised.value
    while error is not None:
        assert "heim" not in repr(error)
        error = error.__cause__ or error.__context__


def test_a_certificate_of_another_authority_is_refused_through_a_proxy_as_well(monkeypatch, authority):
    with serving(authority=authority, respond=answer) as (proxy_port, proxy):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
        with (
            closing(a_client("https://index.example.com")) as client,
            pytest.raises(IndexUnavailableError, match="TLS failed"),
        ):
            client.request("GET", "/files")
    assert proxy.asked == []


def test_a_proxy_that_is_no_address_is_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy:1080")
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        a_client("https://index.example.com")


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("search-files-abc.eu-central-1.es.amazonaws.com", "es", "eu-central-1"),
        ("vpc-files-abc.cn-north-1.es.amazonaws.com.cn", "es", "cn-north-1"),
        ("search-files-abc.aos.eu-central-1.on.aws", "es", "eu-central-1"),
        ("abc.us-gov-west-1.aoss.amazonaws.com", "aoss", "us-gov-west-1"),
        ("abc.us-east-1.aoss-fips.amazonaws.com", "aoss", "us-east-1"),
        ("abc.aoss.ap-northeast-1.on.aws", "aoss", "ap-northeast-1"),
    ],
)
def test_requests_to_aws_are_signed_for_the_service_and_region_of_the_host(host, service, region, monkeypatch):
    from botocore.credentials import Credentials

    with serving(respond=answer) as (proxy_port, proxy):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy_port}")
        settings = load(**REQUIRED, index_url=f"http://{host}:80", aws_region="eu-west-1")
        with closing(Client(settings, lambda: Credentials("key", "secret"))) as client:
            client.request("GET", "/files")
    assert f"/{region}/{service}/aws4_request" in proxy.asked[0].authorization
