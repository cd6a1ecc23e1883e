"""The hostile texts of the fault campaign in every field of dead letters, and what would give them away in a browser."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from recovery.ledger.rows import Arrival
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET
from tests.hostile.test_injection import EVIL
from tests.support.api import Api
from tests.support.nasty_keys import ENCODED, SYNTAX
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.queue import Message
from worker.core.sqs.stored_dead_letter import Hold, StoredDeadLetter

if TYPE_CHECKING:
    from playwright.sync_api import Page

TERMINAL = ("a\n→ dlq purge --backup x\n  because forged", "a\x1b[7;5;35mforged\x1b[9A")
MARKUP = (
    '"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>", "</title><script>alert(1)</script>", "</script><script>alert(1)</script>",
    '<iframe src="javascript:alert(1)"></iframe>', "javascript:alert(1)", '<a href="javascript:alert(1)">x</a>',
    '" autofocus onfocus="alert(1)', "' onmouseover='alert(1)", '<base href="http://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">', '<link rel="stylesheet" href="http://evil.example/a.css">',
    '<form action="http://evil.example/"><button autofocus>ok', "<style>*{display:none}</style>", "<!--",
    "{{ 7*7 }}{% raw %}", "&lt;script&gt;alert(1)&lt;/script&gt;", "data:text/html,<script>alert(1)</script>",
    "//evil.example/x", "data: x\n\nevent: end\ndata: y\n\n",
)  # fmt: skip
"""Every way out of a text: an attribute, an element, a comment, a template, an address, a stream of events."""
DIRECTIONS = (
    "\u202edelrow olleh", "\u202e\u202e\u202e12345 abc", "\u2067\u2067 not closed", "\u2069\u2069\u2069\u202e out of its isolate",
    "שלום 123 עולם 456", "<bdo dir=rtl>abc</bdo>",
)  # fmt: skip
"""What writes from right to left, and what closes more than it has opened."""
HOSTILE = (*EVIL.values(), *TERMINAL, *SYNTAX, *ENCODED, *MARKUP, *DIRECTIONS)
assert len(HOSTILE) == 87


def hostile_dead_letters(api: Api, *, now_ms: int) -> list[str]:
    """One dead letter for each text, which is in all its fields; their identities, in the order of HOSTILE."""
    arrivals = [_hostile(api, number, text, now_ms - number * 60_000) for number, text in enumerate(HOSTILE)]
    api.ledger.take_in(arrivals)
    return [one.row.identity for one in arrivals]


def _hostile(api: Api, number: int, text: str, at_ms: int) -> Arrival:
    """Written to the state bucket as a manager writes it, with what people said about it."""
    names = ("error_type", "message", "stack", "reason", "worker", "correlation_id", "source_service", "routing_key")
    failure = {
        "schema": 1, "kind": "USER_ERROR", "attempts": 1, "redrives": 0, "fingerprint": f"{number:012x}",
        "metadata": {text: text}, **dict.fromkeys(names, text),
    }  # fmt: skip
    body = (
        s3_event(s3_record(BUCKET, f"{text}.pdf"))
        if number % 2
        else json.dumps({"bucket": BUCKET, "key": text, text: [text]})
    )
    attributes = {
        "failure": {"DataType": "String", "StringValue": json.dumps(failure)},
        "note": {"DataType": "String", "StringValue": text},
    }
    message = Message(f"hostile-{number:02d}", "r", body, {"SentTimestamp": str(at_ms), "SenderId": text}, attributes)
    state = api.fakes.state
    stored, _ = take_in(state, DeadLetter.received(message), at_ms=at_ms)
    said: dict[str, Any] = {"owner": text, "note": text, "hold": Hold(text, text) if number % 7 == 0 else None}
    made: StoredDeadLetter = replace(stored, **said)
    state.put(made.key, orjson.dumps(made.as_json()))
    return Arrival(f"m-{made.dead_letter.id}", api.rows.row(made), at_ms)


SHAPE = """() => {
  const count = (what) => document.querySelectorAll(what).length;
  const handlers = [...document.querySelectorAll('*')].flatMap((one) => [...one.attributes])
    .filter((one) => one.name.startsWith('on') ||
      /^\\s*(javascript|data):/i.test(one.value) && /^(href|src|action)$/.test(one.name));
  const away = [...document.querySelectorAll('[href],[src],[action]')]
    .filter((one) => !new URL(one.href?.baseVal ?? one.href ?? one.src ?? one.action, location.href).href
      .startsWith(location.origin + '/'));
  return {handlers: handlers.length, away: away.length, foreign: count('iframe,base,object,embed,style,bdo,img,meta[http-equiv]')};
}"""
"""What no page of ours has: handlers in attributes, addresses elsewhere, elements that we do not use."""
OWN_WORDS = """() => {
  const isolated = (node) => {
    for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) {
      const how = getComputedStyle(at);
      if (/isolate|plaintext/.test(how.unicodeBidi) && (at.localName === 'bdi' || at.localName === 'pre' || at.dir === 'auto'))
        return true;
      if (at.localName === 'textarea' || at.localName === 'option') return true;
    }
    return false;
  };
  const block = (node) => {
    let at = node.parentElement;
    while (/^(inline|contents)$/.test(getComputedStyle(at).display)) at = at.parentElement;
    return at;
  };
  const wrong = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let before = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || isolated(node)) continue;
    const parent = node.parentElement;
    if (/^(script|style|title|desc|noscript)$/.test(parent.localName) || !parent.getClientRects().length) continue;
    if (/[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc]/.test(node.data))
      wrong.push('not isolated: ' + JSON.stringify(node.data.slice(0, 60)) + ' in ' + parent.localName + '.' + parent.className);
    const inside = block(node);
    if (before && before.inside !== inside) before = null;
    for (let at = 0; at < node.data.length; at += 1) {
      if (/\\s/.test(node.data[at])) continue;
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      const here = {x: box.left, y: box.top + box.height / 2, top: box.top, bottom: box.bottom, inside};
      if (before && here.y > before.top && here.y < before.bottom && here.x < before.x - 1)
        wrong.push('out of order: ' + JSON.stringify(node.data.slice(0, 60)) + ' in ' + parent.localName + '.' + parent.className);
      before = here;
    }
  }
  return [...new Set(wrong)];
}"""
"""Our words stand in their order, from left to right: each character after the one before it in the same block and line.

Between them may stand texts of others, in `bdi`: whatever is in these, what we say after it is on its right.
"""


def given_away(page: "Page") -> list[str]:
    """What a hostile text has achieved on a page; empty if it is inert."""
    found = page.evaluate(SHAPE)
    return [f"{name}: {count}" for name, count in found.items() if count] + list(page.evaluate(OWN_WORDS))
