"""`/api/v1/notifications`, and the suggestions of groups and dead letters."""

from recovery.ledger.outbox import About, ToSay
from recovery.ledger.rows import Change, State
from recovery.manager.web.parameters import EXAMPLE_ID
from testing.ledgers import NOW_MS


def fill(api, count=3):
    for number in range(count):
        api.ledger.outbox.say(
            [ToSay(About.GROUP, "ops 1 (json)", f"件名 {number}", "本文")], [], now_ms=NOW_MS + number
        )
    first = api.ledger.outbox.due(NOW_MS, limit=1)[0]
    api.ledger.outbox.sent(first.id, at_ms=NOW_MS + 60_000)


def test_notifications_are_listed_the_newest_first(api):
    fill(api)
    newest, _, oldest = api.get("/api/v1/notifications")["items"]
    assert (newest["subject"], newest["text"], newest["state"], newest["sent_at"]) == (
        "件名 2",
        "本文",
        "waiting",
        None,
    )
    assert newest["next_at"] == "2026-09-21T14:13:20.002Z"
    assert (oldest["state"], oldest["attempts"], oldest["next_at"], oldest["error"]) == ("sent", 1, None, "")
    assert oldest["sent_at"] == "2026-09-21T14:14:20.000Z"


def test_pages_follow_each_other(api):
    fill(api)
    answer = api.ask("/api/v1/notifications?limit=2")
    assert [one["subject"] for one in answer.json()["items"]] == ["件名 2", "件名 1"]
    following = answer.headers["link"].partition(">")[0].removeprefix("<")
    last = api.get(following)
    assert ([one["subject"] for one in last["items"]], last["next"]) == (["件名 0"], None)


def test_a_state_selects(api):
    fill(api)
    assert len(api.get("/api/v1/notifications?state=waiting")["items"]) == 2
    assert api.get("/api/v1/notifications?state=failed")["items"] == []
    problem = api.refused("/api/v1/notifications?state=lost", 400)
    assert (problem["field"], problem["value"]) == ("state", "lost")


def test_groups_and_dead_letters_have_suggestions(filled):
    assert filled.get("/api/v1/groups")["items"][0]["suggestion"] is None
    for number in range(12):
        filled.add(f"old{number}", stored=False)
    filled.ledger.change_many([
        Change(f"old{number}", "archive", "ana", {"state": State.ARCHIVED}) for number in range(12)
    ])  # fmt: skip
    wanted = {
        "advice": "abandon", "text": "of 12 in this group settled in 30 days, 12 were archived or abandoned: abandon",
        "basis": "group", "days": 30, "redriven": 0, "returned": 0, "archived": 12, "abandoned": 0, "share": 0.929,
    }  # fmt: skip
    first, second = filled.get("/api/v1/groups")["items"]
    assert (first["suggestion"], second["suggestion"]) == (wanted, None)
    assert filled.get(f"/api/v1/messages/{EXAMPLE_ID}")["suggestion"] == wanted
