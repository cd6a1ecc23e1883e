"""A password in an address is either understood, or refused without any part of it being shown."""

from pathlib import Path
from urllib.parse import quote, unquote
from urllib.request import proxy_bypass

import pytest
from botocore.session import get_session
from botocore.utils import get_environ_proxies
from hypothesis import given
from hypothesis import strategies as st

from recovery.cli.settings import ToolOptions, load_tool
from worker.core.base import address
from worker.core.base.address import IndexPlace, index_place, parse_address, proxy_for
from worker.core.base.errors import ConfigError
from worker.core.base.settings import load
from worker.core.index.client import Client

SQS = "https://sqs.eu-central-1.amazonaws.com/1"
SOUND = {"sqs_queue_url": f"{SQS}/files", "dlq_queue_url": f"{SQS}/files-dlq", "state_bucket": "state-bucket"}
PASSWORDS = st.text(
    st.one_of(st.sampled_from("#?/@%:[]\\ 日本語＃：\t\n'\"&{}"), st.characters(exclude_categories=("Cs", "Cc"))),
    min_size=6,
)
HOST = "search.example.com"


def assert_hidden(password, *texts):
    for text in texts:
        for at in range(len(password) - 3):
            part = password[at : at + 4]
            assert part not in text or part in SENTENCES, f"{part!r} is in {text!r}"


SENTENCES = Path(address.__file__).read_text() + repr(ConfigError(f"INDEX_URL=(hidden): https://{HOST}:9200"))


def all_of(error):
    """What a traceback shows of an error, without the lines of source."""
    shown = ""
    while error is not None:
        shown += str(error) + repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown


@given(PASSWORDS)
def test_an_encoded_password_is_read_as_it_is_and_not_shown(password):
    if not password.isprintable():
        return
    found = parse_address(f"https://user:{quote(password, safe='')}@{HOST}:9200/prefix/")
    assert (found.user, found.password) == ("user", password)
    assert (found.host, found.port, found.prefix) == (HOST, 9200, "/prefix")
    assert found.shown == f"https://{HOST}:9200/prefix"
    assert repr(found) == repr(parse_address(f"https://{HOST}:9200/prefix"))


def loaded(url):
    """The settings, or the error that refuses them."""
    try:
        return load(**SOUND, index_url=url)
    except ConfigError as error:
        return error


@given(PASSWORDS)
def test_a_raw_password_is_understood_or_refused_and_in_neither_case_shown(password):
    url = f"https://user:{password}@{HOST}:9200"
    found = loaded(url)
    if isinstance(found, ConfigError):
        assert "INDEX_URL=(hidden): " in str(found)
        assert "%23" in str(found) or "should be" in str(found)
        assert_hidden(password, all_of(found))
        return
    client = Client(found)
    assert client.shown == f"https://{HOST}:9200"
    assert parse_address(url).password in {password, unquote(password)}
    assert repr(found) == repr(load(**SOUND, index_url="https://another.example.com"))
    client.close()


@pytest.mark.parametrize("mark", ["#", "?", "/", "/?#", "@/", "#@", "/@"])
def test_what_would_end_an_address_is_to_be_encoded(mark):
    with pytest.raises(ConfigError, match=r"INDEX_URL=\(hidden\): .*# as %23") as raised:
        load(**SOUND, index_url=f"https://user:geheim{mark}nis@{HOST}")
    assert not any(part in all_of(raised.value) for part in ("geheim", "nis@"))


@pytest.mark.parametrize(
    "url", ["https://user:geheim", "https://user:ge:heim", "user:geheim@host", "https://us er:geheim", "htp://u:geheim@h",
            "https://:geheim@", "https://[user:geheim", "https://user:geheim\uff20x", "https://user:geheim%ff@h"],
)  # fmt: skip
def test_what_is_no_address_is_not_quoted(url):
    with pytest.raises(ConfigError) as raised:
        load(**SOUND, index_url=url)
    assert "geheim" not in all_of(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://Host", "http://host"), ("https://host/", "https://host"), ("https://[::1]:9200", "https://[::1]:9200"),
        ("HTTPS://host:1/a/b/", "https://host:1/a/b"), ("https://us%40er:p@host", "https://host"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_what_it_signs_in_with(url, shown):
    assert parse_address(url).shown == shown


@pytest.mark.parametrize("name", ["sqs_queue_url", "dlq_queue_url"])
@pytest.mark.parametrize("password", ["geheim", "ge#heim", "geh/eim"])
def test_a_queue_s_url_has_no_password(name, password):
    with pytest.raises(ConfigError, match=rf"{name.upper()}=\(hidden\): ") as raised:
        load(**{**SOUND, name: f"https://user:{password}@sqs.eu-central-1.amazonaws.com/1/q"}, index_url="http://x")
    assert "heim" not in all_of(raised.value)
    assert "eim@" not in all_of(raised.value)


def test_two_values_of_one_setting_are_told_without_passwords(monkeypatch):
    monkeypatch.setenv("DLQ_QUEUE_URL", "https://user:geheim@host/1/q")
    monkeypatch.setenv("DLQ_URL", "https://host/1/q")
    with pytest.raises(ConfigError, match="two names of one setting") as raised:
        load_tool(ToolOptions())
    assert "geheim" not in all_of(raised.value)


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://a.example.com", "http://a.example.com:9200", "https://127.0.0.1:9200/x"])
@pytest.mark.parametrize(
    "given",
    [
        {}, {"HTTPS_PROXY": "http://proxy:3128"}, {"https_proxy": "proxy:3128", "http_proxy": "//other:1"},
        {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"}, {"HTTPS_PROXY": "http://proxy", "no_proxy": "*"},
        {"HTTPS_PROXY": "http://proxy", "NO_PROXY": "a.example.com,127.0.0.1"}, {"ALL_PROXY": "http://proxy"},
        {"HTTP_PROXY": "http://proxy", "NO_PROXY": "127.0.0.1,a.example.com:9200"}, {"HTTPS_PROXY": "https://u:p%40@proxy"},
    ],
)  # fmt: skip
def test_the_proxy_is_that_of_boto3(given, url, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    theirs = get_environ_proxies(url).get(url.partition(":")[0])
    ours = proxy_for(url)
    assert plain(ours) == plain(theirs)


def plain(proxy):
    return proxy and proxy.removeprefix("http:").removeprefix("//")


@pytest.mark.parametrize("password", ["ge#heim", "ge/heim", "ge?heim", "geheim日本", "ge%ffheim"])
def test_a_proxy_whose_password_is_not_encoded_is_named_without_it(password, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{password}@proxy.example.com:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert not proxy_bypass(HOST)
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as raised:
        Client(load(**SOUND, index_url=f"https://{HOST}"))
    assert "heim" not in all_of(raised.value)


# -- AWS's names of indexes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("search-files-2abc.eu-central-1.es.amazonaws.com", "es", "eu-central-1"),
        ("vpc-files-2abc.ap-northeast-1.es.amazonaws.com", "es", "ap-northeast-1"),
        ("vpc-files-2abc.us-gov-west-1.es-fips.amazonaws.com", "es", "us-gov-west-1"),
        ("vpc-files-2abc.cn-northwest-1.es.amazonaws.com.cn", "es", "cn-northwest-1"),
        ("search-files-2abc.eusc-de-east-1.es.amazonaws.eu", "es", "eusc-de-east-1"),
        ("search-files-2abc.us-iso-east-1.es.c2s.ic.gov", "es", "us-iso-east-1"),
        ("search-files-2abc.aos.eu-central-1.on.aws", "es", "eu-central-1"),
        ("search-files-2abc.aos.cn-north-1.on.amazonwebservices.com.cn", "es", "cn-north-1"),
        ("1tg2xudton46knx2a95g.us-east-1.aoss.amazonaws.com", "aoss", "us-east-1"),
        ("1tg2xudton46knx2a95g.us-east-1.aoss-fips.amazonaws.com", "aoss", "us-east-1"),
        ("1tg2xudton46knx2a95g.aoss.us-east-1.on.aws", "aoss", "us-east-1"),
        ("1tg2xudton46knx2a95g.aoss-fips.us-east-1.on.aws", "aoss", "us-east-1"),
        ("vpce-0abc-1def.aoss.us-east-1.vpce.amazonaws.com", "aoss", "us-east-1"),
    ],
)
def test_the_name_of_an_index_says_how_to_sign(host, service, region):
    assert index_place(host) == IndexPlace(service, region, is_of_account=False)


def test_the_name_of_an_account_s_collections_is_known_as_such():
    assert index_place("123456789012.aoss.us-east-1.on.aws") == IndexPlace("aoss", "us-east-1", is_of_account=True)


@pytest.mark.parametrize(
    "host",
    [
        "search.example.com",
        "search.eu-west-1.es.example.com",
        "search-files.eu-west-1.es.amazonaws.com.example.com",
        "files-1234.eu-west-1.elb.amazonaws.com",
        "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com",
        "es.eu-west-1.amazonaws.com",
        "xamazonaws.com",
        "localhost",
        "::1",
    ],
)
def test_any_other_host_is_not_signed_for(host):
    assert index_place(host) is None


def test_the_ends_of_names_are_those_of_every_partition_that_boto3_knows():
    found = {one["outputs"]["dnsSuffix"] for one in get_session().get_data("partitions")["partitions"]}
    assert found - set(address._DNS_SUFFIXES) == set()
