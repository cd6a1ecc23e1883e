"""Two ways through the console that are to be short: from an alert to its cause, and from the cause to all of it redriven.

Each is an iterator of steps: the name of a picture, and the window as it is then. Clicks are counted by the browser itself.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

from recovery.ledger.news import Reason
from recovery.ledger.outbox import Topic
from recovery.manager.notices.wording import Wording
from tests.support.api import Api
from tests.support.console_arrivals import CAUSES, HOUR_MS, Scene, arrive_of
from tests.support.console_office import until_done, wait_until
from tests.support.console_scene import SEEN_AGO_MS, RunningClock, workers
from tests.support.reader import Reader

COUNT = 4_000
CAUSE = "timeout"
PATIENCE_S = 120
"""For 4,000 messages that are sent, slowly at first."""
Step = tuple[str, Reader]
_COUNT_CLICKS = """addEventListener("pointerdown", (event) => {
  if (event.isTrusted) sessionStorage.setItem("clicks", Number(sessionStorage.getItem("clicks")) + 1);
}, true);"""


def incident(api: Api, count: int = COUNT) -> Scene:
    """Fill an empty manager: so many dead letters of one cause, which have come within two hours, and a few of others."""
    api.fakes.s3.clock = clock = RunningClock()
    scene = Scene(api, clock.now_ms())
    arrive_of(scene, CAUSE, replace(CAUSES[CAUSE], count=count, hours=2))
    for name in ("password", "denied"):
        arrive_of(scene, name, replace(CAUSES[name], count=7, hours=4))
    workers(scene, SEEN_AGO_MS[:2])
    return scene


def notification(scene: Scene, origin: str) -> str:
    """The text of what the operators are sent about the incident."""
    cause = CAUSES[CAUSE]
    topic = Topic(
        "ops@example.com", Reason.FAILED, cause.kind, cause.fingerprint, cause.fingerprint, cause.error_type, waiting=COUNT,
        first_ms=scene.now_ms - 2 * HOUR_MS, last_ms=scene.now_ms, example="files/経理/2026/契約書-0001.pdf", total=COUNT,
    )  # fmt: skip
    return Wording("en", lambda: origin, UTC).of_group(topic, every_s=3_600).text


def link_in(text: str) -> str:
    """The address that a notification has."""
    [found] = [word for word in text.split() if word.startswith("http")]
    return found


def count_clicks(reader: Reader) -> None:
    """Count from now on what is pressed in a window, with whatever points."""
    reader.page.context.add_init_script(_COUNT_CLICKS)


def clicks(reader: Reader) -> int:
    """How often something was pressed in this window; to open an address from elsewhere is one more."""
    return int(reader.page.evaluate("Number(sessionStorage.getItem('clicks'))"))


def from_a_notification(reader: Reader, link: str) -> Iterator[Step]:
    """The link that a notification has leads to the cause; one click more shows the stack of a message."""
    reader.go(link.removeprefix(reader.origin))
    yield "alert-1-cause", reader
    yield from _to_the_stack(reader, "alert-2-stack")


def from_an_alert(reader: Reader) -> Iterator[Step]:
    """From the overview, which says that a limit is exceeded and what to look at, to the cause, and to the stack of a message."""
    reader.go("/console/")
    yield "depth-1-overview", reader
    reader.page.get_by_role("link", name="Look at the largest cause").click()
    reader.page.wait_for_url("**/console/groups/*")
    yield "depth-2-cause", reader
    yield from _to_the_stack(reader, "depth-3-stack")


def to_a_redrive(reader: Reader, count: int = COUNT) -> Iterator[Step]:
    """From the page of the cause: plan, type the number, start, and look on until all are sent."""
    page = reader.page
    page.get_by_role("button", name="Redrive, slowly at first").click()
    page.wait_for_url("**/console/plans/*")
    yield "redrive-1-plan", reader
    page.get_by_label("to confirm").click()
    page.keyboard.type(str(count))
    yield "redrive-2-typed", reader
    page.get_by_role("button", name=f"Redrive {count:,} messages").click()
    page.wait_for_url("**/console/operations/*")
    wait_until(lambda: int(page.locator("progress").get_attribute("value") or 0) > 0, reader)
    yield "redrive-3-running", reader
    until_done(reader, patience_s=PATIENCE_S)
    yield "redrive-4-done", reader


def _to_the_stack(reader: Reader, name: str) -> Iterator[Step]:
    reader.page.get_by_role("button", name="Show the stack and the body of the latest").click()
    reader.page.wait_for_url("**#message")
    yield name, reader
