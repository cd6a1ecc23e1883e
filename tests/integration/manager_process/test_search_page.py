"""The search page over a real OpenSearch: it finds what a worker has indexed, and S3 sends the file under its name."""

import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from lxml import html

from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess
from tests.integration.manager_process.conftest import ManagerProcess

FILES = {
    "経理/2026/見積書 +1.txt": "東京支店に送る見積書です。合計は 1,200円。納期は来月末とします。",
    "sales/forecast.md": "# Quarterly forecast\n\nThe forecast was revised on Monday.",
    "sales/notes.txt": "forecast <script>alert(1)</script> & more",
}
QUOTED = quote("経理/2026/見積書 +1.txt")


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    """A deployment with an index, in which a worker has indexed FILES."""
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def manager(site, manager_of, tmp_path) -> ManagerProcess:
    """With a search page, after a worker has indexed FILES, and has ended."""
    site.put_all(FILES)
    worker = WorkerProcess(site.env, tmp_path)
    worker.start()
    try:
        site.send_all(list(FILES))
        wait_until(lambda: len(site.documents()) == len(FILES), 60, "the index")
    finally:
        worker.kill()
    started: ManagerProcess = manager_of(
        LEDGER_URL=f"sqlite:///{tmp_path}/ledger.sqlite", MANAGER_PORT="0", SEARCH_PAGE="on"
    )
    started.start()
    return started


def page(manager: ManagerProcess, path: str, **asked: str) -> Any:
    return html.fromstring(manager.ask(f"{path}?{urlencode(asked)}"))


def said(node):
    return " ".join(node.text_content().split())


def found(manager, q):
    return sorted(said(one) for one in page(manager, "/console/search", q=q).xpath("//article/h2"))


@pytest.mark.slow("a worker and a manager are started, and an index is made")
def test_what_a_worker_has_indexed_is_found_marked_narrowed_opened_and_accounted_for(manager, site):
    assert found(manager, "見積書") == found(manager, '"東京支店に送る"') == ["見積書 +1.txt"]
    assert found(manager, "forecast") == ["forecast.md", "notes.txt"]
    assert found(manager, "forecast ext:md") == ["forecast.md"]
    assert found(manager, '"forecast was revised"') == ["forecast.md"]
    assert found(manager, "forecast before:2020") == []
    assert found(manager, "forecast after:2020 -revised") == ["notes.txt"]
    hit = page(manager, "/console/search", q="納期 見積書").xpath("//article")[0]
    assert {"見積書", "納期"} <= {said(one) for one in hit.iter("mark")}
    narrowed = page(manager, "/console/search", q="forecast").xpath("//main//a[starts-with(., 'md')]/@href")
    assert narrowed == [f"/console/search?{urlencode({'q': 'forecast ext:md'})}"]

    [href] = hit.xpath("h2/a/@href")
    request = urllib.request.Request(
        f"http://127.0.0.1:{manager.port}{href}", headers={"Sec-Fetch-Site": "same-origin"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.url.startswith(f"{site.s3.meta.endpoint_url}/{site.bucket}/")
        assert answer.read().decode() == FILES["経理/2026/見積書 +1.txt"]
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].endswith(f"filename*=UTF-8''{quote('見積書 +1.txt')}")
    [entry] = [one for one in site.state_records("s3-index-worker/audit/") if one["action"] == "open"]
    assert entry["key"] == "経理/2026/見積書 +1.txt"

    answer = page(manager, "/console/why-not", key=f"https://{site.bucket}.s3.eu-west-1.amazonaws.com/{QUOTED}")
    assert "and the index has held it as it is now" in said(answer.xpath("//p[@class='lead']")[0])
    site.put("経理/new.txt", "not noticed")
    answer = page(manager, "/console/why-not", key="/経理/new.txt")
    assert "and the index does not hold it" in said(answer.xpath("//p[@class='lead']")[0])
