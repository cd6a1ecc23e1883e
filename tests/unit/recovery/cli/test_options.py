"""What selects messages is never taken for nothing: an empty value is refused, and so is the beginning of several groups."""

import pytest

from recovery.cli import main as dlq
from recovery.cli import recover_dlq
from recovery.cli.verbs.list_messages import list_messages
from recovery.cli.verbs.recover import recover
from recovery.operations.dead_letters.facts import Filter
from tests.support.in_process import run_in_process
from worker.core.base.classify import FailureKind
from worker.core.base.errors import ExitCode

ENV = {"DLQ_QUEUE_URL": "http://127.0.0.1:1/q/dlq", "AWS_REGION": "eu-central-1"}
GROUP, ALIKE, OTHER = "5b1f2c7d90aa", "5b1f2c000000", "77aabbccddee"


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize("name", ["--group", "--error", "--match", "--type", "--older-than"])
@pytest.mark.parametrize(("program", "args"), [(recover_dlq, ()), (dlq, ("recover", "--yes")), (dlq, ("list",))])
def test_an_empty_filter_is_refused_and_never_selects_everything(program, args, name, value):
    done = run_in_process(program.main, ENV, *args, name, value)
    assert done.returncode == ExitCode.USAGE
    assert f"{name} is empty; give what selects messages, or leave it out" in " ".join(done.stderr.split())


@pytest.mark.parametrize("args", [("",), ("--message-id", ""), ("5f0c3a", " ")])
@pytest.mark.parametrize("verb", ["recover", "inspect", "restore"])
def test_an_empty_id_is_refused(verb, args):
    done = run_in_process(dlq.main, ENV, verb, *args)
    assert (done.returncode, "is empty" in done.stderr) == (ExitCode.USAGE, True)


@pytest.mark.parametrize("group", ["3", "3d257", "3d257…"])
def test_a_group_is_given_by_its_fingerprint_or_six_characters_of_it(group):
    done = run_in_process(dlq.main, ENV, "list", "--group", group)
    assert done.returncode == ExitCode.USAGE
    assert "is too short: it should be a fingerprint" in " ".join(done.stderr.split())


def test_a_command_that_acts_as_it_reads_takes_only_a_whole_fingerprint():
    done = run_in_process(recover_dlq.main, ENV, "--group", GROUP[:6])
    assert done.returncode == ExitCode.USAGE
    assert "--group should be a whole fingerprint of 12 characters" in " ".join(done.stderr.split())


def of_groups(fakes, *groups):
    for number, group in enumerate(groups):
        fakes.s3.bodies[f"{number}.txt"] = b"text"
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError", "fingerprint": group})


def recovered(fakes, context, which, **options):
    made = context("recover")
    made.worker_settings = fakes.settings
    made.indexing_clients = lambda _: fakes.clients
    return recover(made, which, yes=True, **options)


def test_the_beginning_of_one_group_recovers_that_group_alone(fakes, context):
    of_groups(fakes, GROUP, OTHER)
    assert recovered(fakes, context, Filter(group=GROUP[:6])) == ExitCode.OK
    assert list(fakes.dlq.messages) == ["m1"]
    assert recovered(fakes, context, Filter(group="abcdef")) == ExitCode.NOT_FOUND
    assert list(fakes.dlq.messages) == ["m1"]


@pytest.mark.parametrize("forged", [ALIKE, GROUP[:6]])
def test_the_beginning_of_several_groups_is_refused_with_all_of_them(fakes, context, forged):
    of_groups(fakes, GROUP, forged, OTHER)
    for act in (
        lambda: recovered(fakes, context, Filter(group=GROUP[:6])),
        lambda: list_messages(context("list"), Filter(group=GROUP[:6])),
    ):
        with pytest.raises(Exception, match=rf"(?s)'5b1f2c' fits 2 groups; give more .*\n  {forged}.*\n  {GROUP}"):
            act()
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (3, set())
    assert recovered(fakes, context, Filter(group=GROUP)) == ExitCode.OK, "a whole one is no beginning"
    assert sorted(fakes.dlq.messages) == ["m1", "m2"]


@pytest.mark.parametrize("asked", [False, True])
def test_only_who_asks_gives_up_what_the_system_is_at_fault_for(fakes, context, monkeypatch, asked):
    failure = {"kind": "SYSTEM_ERROR", "error_type": "StoreError", "message": "NoSuchBucket"}
    fakes.dead_letter("m1", "a.txt", bucket="no-such-bucket", failure=failure)
    code = recovered(fakes, context, Filter(kind=FailureKind.SYSTEM_ERROR), archive_system_errors=asked)
    assert (code, len(fakes.dlq.messages)) == ((ExitCode.OK, 0) if asked else (ExitCode.INCOMPLETE, 1))

    requests = []
    monkeypatch.setattr(recover_dlq, "recover", lambda _settings, _clients, request, **_: requests.append(request))
    monkeypatch.setattr(recover_dlq, "run_program", lambda _, operate, **_more: operate(*[None] * 4))
    run_in_process(recover_dlq.main, ENV, *(["--archive-system-errors"] if asked else []))
    assert [one.archive_system_errors for one in requests] == [asked]
