"""Compare what a page mentions with what exists: names in `code`, commands, make targets, files, links."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recovery.cli.settings import ToolSettings
from recovery.manager.settings import ManagerSettings
from tools import metrics, reference
from tools.events import events
from worker.core.base.settings import Settings

OTHERS = frozenset(
    {
        "ALL_PROXY", "AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT", "CAPABILITY_IAM", "CREATE_FAILED", "CREDENTIALS_DIRECTORY", "DLQ_URL", "FRONTIER_URL",
        "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "RLIMIT_AS", "SYSTEM_ERROR", "USER_ERROR",
    }
)  # fmt: skip
"""Names in capitals that are not our settings: those of AWS, systemd and proxies, deprecated ones, and kinds of failures."""

NO_METRICS = frozenset({"dlq_error", "dlq_redrive"})
"""Names that begin like those of metrics: a field of a log event, a service in CloudWatch."""

_CODE = re.compile(r"^```[\s\S]*?^```|`[^`\n]+`|^ {4}.*$", re.MULTILINE)
_CAPITALS = re.compile(r"(?<![\w/])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)")
_COMMAND = re.compile(r"(?<![\w/.-])(python -m worker|[a-z][\w-]*)(?= ([a-z][\w-]*))")
_TARGET = re.compile(r"\bmake ([a-z][\w-]*)")
_METRIC = re.compile(r"\b(?:worker|dlq)_[a-z0-9_]+\b")
_DOTTED = re.compile(r"`([a-z]+\.(?!py`|md`|json`)[a-z]+(?:_[a-z]+)*)`")
_PATH = re.compile(r"(?<![\w/.-])((?:worker|recovery|docs|config|tests|tools|samples)/[\w./-]*\w/?|\.ci/run)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r'^#+ (?:<a id="([\w-]+)"></a>)?(.+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a page may mention."""

    settings: frozenset[str]
    commands: frozenset[str]
    targets: frozenset[str]
    events: frozenset[str]
    metrics: frozenset[str]

    @classmethod
    def of(cls, root: Path) -> "Known":
        """The names in this repository."""
        fields = Settings.model_fields.items()
        return cls(
            frozenset(name for field, info in fields for name in reference.environment_names(field, info))
            | {name.upper() for kind in (ToolSettings, ManagerSettings) for name in kind.model_fields},
            frozenset(_and_groups(reference.commands())),
            frozenset(re.findall(r"^([a-z][\w-]*):", (root / "Makefile").read_text(), re.MULTILINE)),
            frozenset(event.name for event in events(root)),
            frozenset(one.name for one in metrics.all_metrics()),
        )


def _and_groups(commands: Iterable[str]) -> Iterator[str]:
    """Commands, the groups that they are in, and each program's `help`."""
    for command in commands:
        words = command.split()
        yield from [f"{words[0]} help"] if len(words) > 1 else ()
        yield from (" ".join(words[:count]) for count in range(2, len(words) + 1))
        yield command


def unknown_mentions(text: str, page: Path, root: Path, known: Known) -> Iterator[str]:
    """One sentence for each thing that is mentioned but does not exist."""
    code = "\n".join(_CODE.findall(text))
    for pattern, where, existing, sentence in (
        (_CAPITALS, code, known.settings | OTHERS, "{} is not a setting"),
        (_TARGET, code, known.targets, "the Makefile has no target {}"),
        (_METRIC, code, known.metrics | NO_METRICS, "{} is not a metric"),
    ):
        yield from (sentence.format(name) for name in sorted(set(pattern.findall(where)) - existing))
    yield from (f"{program} has no command {verb}" for program, verb in _verbs_in(code, known))
    yield from (f"{name} is not a log event" for name in _events_in(text, known) if name not in known.events)
    for path in sorted(set(_PATH.findall(code))):
        if not (root / path).exists():
            yield f"{path} does not exist"
    for link in sorted(set(_LINK.findall(text))):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        there = page.parent / target if target else page
        if not there.exists() or (anchor and anchor not in _anchors(text if there == page else there.read_text())):
            yield f"the link to {link} leads nowhere"


def sections(text: str) -> list[tuple[str, str]]:
    """The anchor of each heading of a page, as it names it itself or as GitHub makes it, and the text up to the next."""
    _, *parts = _HEADING.split(text)
    return [
        (named or re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"), below)
        for named, title, below in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def _anchors(text: str) -> set[str]:
    return {anchor for anchor, _ in sections(text)}


def _verbs_in(code: str, known: Known) -> list[tuple[str, str]]:
    """(program, verb) for each verb that one of our programs does not have."""
    programs = {name.partition(" ")[0] for name in known.commands if " " in name}
    found = {(program.replace("python -m worker", "s3-index-worker"), verb) for program, verb in _COMMAND.findall(code)}
    return sorted(
        (program, verb) for program, verb in found if program in programs and f"{program} {verb}" not in known.commands
    )


def _events_in(text: str, known: Known) -> list[str]:
    """Dotted names that begin with a family of events: `worker.gone` is meant as an event, `jq.py` is not."""
    families = {name.partition(".")[0] for name in known.events}
    return [name for name in sorted(set(_DOTTED.findall(text))) if name.partition(".")[0] in families]
