"""The pages of the console, by name: what tests of all of them look at, and what pictures show."""

from urllib.parse import urlencode

from tests.support.console_arrivals import CAUSES, Scene


def messages_path(**asked: str) -> str:
    """The list of messages with such a filter."""
    return f"/console/messages?{urlencode(asked)}" if asked else "/console/messages"


def group_path(name: str) -> str:
    """The page of one cause of the scene."""
    return f"/console/groups/{CAUSES[name].fingerprint}"


def pages_of(scene: Scene) -> dict[str, str]:
    """The path of each page, in each of its forms."""
    ids = scene.ids
    return {
        "overview": "/console/",
        "groups": "/console/groups",
        **{f"group {name}": group_path(name) for name in ("timeout", "odd")},
        "messages": "/console/messages",
        "messages filtered": messages_path(q="kind:RECOVERABLE key:契約", sort="key"),
        "messages none": messages_path(q="key:nothing-has-this"),
        "messages wrong": messages_path(q="kind:NONE colour:red"),
        **{
            f"message {name}": f"/console/messages/{ids[name]}"
            for name in ("timeout", "odd", "foreign", "held", "sent", "unknown")
        },
        **{f"plan {name}": f"/console/plans/{plan.id}" for name, plan in scene.plans.items()},
        "operations": "/console/operations",
        **{f"operation {name}": f"/console/operations/{one.id}" for name, one in scene.operations.items()},
        "archive": "/console/archive",
        "schedule": "/console/schedule",
        "audit": "/console/audit",
        "settings": "/console/settings",
        "help": "/console/help",
    }
