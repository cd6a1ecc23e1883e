"""`s3-index-worker search`."""

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from worker.core.base.aws import Aws
from worker.core.base.errors import ExitCode
from worker.core.base.settings import Settings
from worker.core.index.mistakes import mistakes, nearest_field
from worker.core.index.open import open_index
from worker.layout import Sentence, show
from worker.render import hit_text
from worker.terminal import Json, load_for_command, print_json, say, stdout, tell

_WITH_VALUE = frozenset({"--limit"})
_EXCLUSION = re.compile(r"-[^-].*", re.DOTALL)
_OTHER_MINUS = "－"
"""The full-width minus, which is the same in a query, and no option to a command line."""


class SearchCommand(TyperCommand):
    """A command whose arguments may begin with a minus: `-draft` leaves a word out, and is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The usual parsing, of words in which the minus is another one. Raises a usage error for a filter as an option."""
        before, end, after = _parted(args)
        known = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        known |= set(ctx.help_option_names)
        words = []
        for previous, one in zip(["", *before], before, strict=False):
            is_word = _EXCLUSION.fullmatch(one) and one not in known and previous not in _WITH_VALUE
            words.append(_OTHER_MINUS + one[1:] if is_word else one)
            _check_no_filter(one, known)
        return super().parse_args(ctx, [*words, *end, *after])


def _parted(args: list[str]) -> tuple[list[str], list[str], list[str]]:
    at = args.index("--") if "--" in args else len(args)
    return args[:at], args[at : at + 1], args[at + 1 :]


def _check_no_filter(given: str, known: set[str]) -> None:
    """Raises a usage error where a filter was given as an option: `--size 0`."""
    name, _, value = given.removeprefix("--").partition("=")
    field = nearest_field(name) if given.startswith("--") and f"--{name}" not in known else None
    if field is not None:
        example = {"size": ">1mb", "ext": "pdf", "bucket": "our-files"}.get(field, "2026-01-31")
        raise typer.BadParameter(
            f"there is no such option; filters are words of the query, as in '{field}:{value or example}'",
            param_hint=f"--{name}",
        )


def search(
    query: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY",
            help="Words; '\"exact phrase\"'; ext:pdf, bucket:our-files, 'size:>1mb', after:2026-01-31, before:2027; -word.",
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of hits to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Search the index. Several arguments are one query: only an exact phrase, > and < need quotes.

    In JSON, matches are enclosed in U+E000 and U+E001. Exit codes: 0 found, 1 nothing found, 64 a mistake in the query, 69
    index unavailable.
    """
    text = " ".join(query)
    if wrong := mistakes(text):
        say("query", "\n".join(wrong))
        raise typer.Exit(ExitCode.USAGE)
    settings = load_for_command()
    index = open_index(settings, connect_credentials(settings))
    try:
        result = index.search(text, limit=limit)
    finally:
        index.close()
    if as_json:
        print_json({"total": result.total, "hits": result.hits})
    else:
        out = stdout()
        for hit in result.hits:
            show(out, Sentence(hit_text(hit), then="    "))
        tell(f"{result.total} found" + (f", {len(result.hits)} shown" if result.total > len(result.hits) else ""))
    raise typer.Exit(ExitCode.OK if result.hits else ExitCode.NOT_FOUND)


def connect_credentials(settings: Settings) -> Any:
    """The function from which the index's client gets AWS credentials, if it needs any."""
    return Aws(region=settings.aws_region).credentials
