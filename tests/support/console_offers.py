"""What pages of the console offer to be done: their forms, as a browser would send them."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.support.console_arrivals import CAUSES, Scene
from tests.support.console_pages import pages_of
from tests.support.reader import Reader

EVERYBODYS = frozenset({"/auth/logout", "/console/preferences"})
_READ = """async ([path, body]) => {
  const headers = body ? {"Content-Type": "application/x-www-form-urlencoded"} : {};
  const answer = await fetch(path, {method: body ? "POST" : "GET", headers, body: body || undefined});
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = [...page.forms].filter((form) => form.method === "post").flatMap((form) => {
    const choices = [...form.querySelectorAll("select[name=verb] option")].map((one) => one.value);
    const buttons = [...form.elements].filter((one) => one.type === "submit");
    return buttons.flatMap((button) => (choices.length ? choices : [null]).map((verb) => {
      const data = new FormData(form, button);
      if (verb) data.set("verb", verb);
      return [new URL(form.action).pathname, [...data].map(([name, value]) => [name, String(value)])];
    }));
  });
  return [answer.status, new URL(answer.url).pathname, found];
}"""
_SEND = """async ([path, body]) => {
  const headers = {"Content-Type": "application/x-www-form-urlencoded"};
  const answer = await fetch(path, {method: "POST", body, headers, redirect: "manual"});
  return answer.status;
}"""


@dataclass(frozen=True)
class Offer:
    """One button of a form, with all fields that it sends."""

    action: str
    fields: tuple[tuple[str, str], ...]

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from others: where it is sent (to any message, where it is one), and what it chooses."""
        found = dict(self.fields)
        return (
            re.sub("(?<=/messages/).+", "ID", self.action),
            found.get("verb") or found.get("do", ""),
            found.get("to", ""),
        )


@dataclass(frozen=True)
class Seen:
    """What somebody is answered with who asks for a page."""

    status: int
    path: str
    """Where they are led to."""
    offers: tuple[Offer, ...]


def look(reader: Reader, path: str, form: str = "") -> Seen:
    """Ask for a page as somebody who is signed in, or for what answers a form; read its forms, without those for everybody."""
    status, at, found = reader.page.evaluate(_READ, [path, form])
    made = tuple(Offer(action, tuple((name, value) for name, value in fields)) for action, fields in found)
    return Seen(status, at, tuple(one for one in made if one.action not in EVERYBODYS))


def send(reader: Reader, offer: Offer) -> int:
    """The status that it is answered with; 0 where it leads on to another page."""
    return int(reader.page.evaluate(_SEND, [offer.action, urlencode(offer.fields)]))


def changing_routes(console: FastAPI) -> dict[str, re.Pattern[str]]:
    """The path of each POST route of the console, with what matches an address of it."""
    found = {}
    for route in iter_route_contexts(console.routes):
        if "POST" in (route.methods or ()):
            path = f"/console{route.path}"
            pattern = "".join(
                "[^?]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)
            )
            found[path] = re.compile(f"{pattern}$")
    return found


def all_pages(scene: Scene) -> dict[str, str]:
    """The path of every page, and of those of each kind of dead letter and of each group; plans are made for it."""
    messages = {f"message {name}": f"/console/messages/{identity}" for name, identity in scene.ids.items()}
    groups = {f"group {name}": f"/console/groups/{cause.fingerprint}" for name, cause in CAUSES.items()}
    scheduled = {"scheduled only": f"/console/messages?{urlencode({'q': 'state:scheduled'})}"}
    return {**pages_of(scene), **messages, **groups, **scheduled}
