"""The pages of the console, by name: what tests of all of them look at, and what pictures show."""

from urllib.parse import urlencode

from tests.support.console_arrivals import Scene


def messages_path(**asked: str) -> str:
    """The list of messages with such a filter."""
    return f"/console/messages?{urlencode(asked)}" if asked else "/console/messages"


def pages_of(scene: Scene) -> dict[str, str]:
    """The path of each page that there is, in each of its forms."""
    return {
        "overview": "/console/",
        "groups": "/console/groups",
        "audit": "/console/audit",
        "settings": "/console/settings",
        "runbook": "/console/runbook",
        "messages": "/console/messages",
        "messages filtered": messages_path(q="kind:RECOVERABLE key:契約", sort="key"),
        "messages none": messages_path(q="key:nothing-has-this"),
        "schedule": "/console/schedule",
        "archive": "/console/archive",
    }
