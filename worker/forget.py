"""`s3-index-worker forget`."""

from typing import Annotated

import typer

from worker.core.audit import AuditEvent, Run, record
from worker.core.base.errors import ExitCode
from worker.core.base.text import exact
from worker.core.clients import Clients, connect
from worker.core.indexing.forget import Forgetter, Forgotten, keys_in
from worker.core.s3.objects import Place
from worker.layout import Sentence, show
from worker.terminal import (
    Json,
    Signals,
    agreed,
    err,
    load_for_command,
    operator,
    place_of,
    print_json,
    show_recorded,
    stdout,
    tell,
)


def forget(
    place: Annotated[str, typer.Argument(help="The bucket, or a part of it: s3://BUCKET or s3://BUCKET/PREFIX.")],
    existing: Annotated[
        bool,
        typer.Option(
            "--existing", help="Remove the documents also of objects that exist, or about which S3 gives no answer."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask S3 about each object, but remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Remove from the index the documents of objects that are gone without an event, as when a bucket was deleted.

    Exit codes: 0 removed, 1 no documents, 3 some were kept, or declined, 64, 69.
    """
    chosen, settings = place_of(place), load_for_command()
    clients = connect(settings)
    count = sum(1 for _ in keys_in(clients.index, chosen))
    index = clients.index.description
    tell(f"{count} documents of {chosen} in {index}")
    if not count:
        _show(chosen, Forgotten(), dry_run=dry_run, as_json=as_json)
        raise typer.Exit(ExitCode.NOT_FOUND)
    which = "all of them, even if the object exists" if existing else "those whose object is gone"
    if not (dry_run or yes) and not agreed(f"Remove {which}?"):
        err.print("nothing was changed")
        raise typer.Exit(ExitCode.INCOMPLETE)
    clients.state.calibrate_clock()
    forgetter = Forgetter(settings, clients, chosen, existing=existing, dry_run=dry_run)
    recorded = ExitCode.OK
    with Signals().heeded() as signals:
        try:
            forgetter.run(stop=signals.stop)
        finally:
            if not dry_run:
                recorded = _record(clients, chosen, forgetter.result, existing=existing)
    _show(chosen, forgetter.result, dry_run=dry_run, as_json=as_json)
    complete = ExitCode.OK if forgetter.result.is_complete else ExitCode.INCOMPLETE
    raise typer.Exit(signals.exit_code or max(complete, recorded))


def _record(clients: Clients, place: Place, result: Forgotten, *, existing: bool) -> ExitCode:
    run = Run.new("s3-index-worker forget", action="forget", by=operator())
    details = {"place": str(place), "index": clients.index.description, "existing": existing}
    return show_recorded(record(clients.state, AuditEvent.of(run, (), result.as_json(), details)))


def _show(place: Place, result: Forgotten, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"place": str(place), "dry_run": dry_run, **result.as_json()})
        return
    would = "would be " if dry_run else ""
    lines = [f"{result.removed} {would}removed"]
    if result.existing:
        lines.append(f"{result.existing} {would}kept: their objects exist (--existing removes these documents too)")
    lines += [f"{count} {would}kept: {reason}" for reason, count in result.undecided.most_common()]
    if result.stopped_by:
        lines.append(f"stopped early by {result.stopped_by}")
    for line in lines:
        show(stdout(), Sentence(exact(line)))
