"""A call that keeps failing is a state, with the permission that would help."""

import pytest

from worker.core.base.classify import is_denial, is_key_fault
from worker.core.sqs import call_health
from worker.core.sqs.call_health import CallHealth, permission_hint


class Clock:
    now_s = 1_000.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(call_health, "time", made := Clock())
    return made


@pytest.fixture
def receives(clock):
    return CallHealth("sqs:ReceiveMessage", "files")


def test_one_failure_is_no_state(receives, clock):
    receives.failed("AccessDenied", "no")
    assert receives.fault == ""
    clock.now_s += 10
    receives.failed("AccessDenied", "no")
    assert receives.fault == ""


def test_one_failure_does_not_last_because_no_call_follows_it(receives, clock):
    receives.failed("ServiceUnavailable", "down")
    clock.now_s += 60
    assert receives.fault == "", "the worker is full or paused, or its next poll is still open"


def test_failures_for_longer_are_one_until_a_call_succeeds(receives, clock):
    for _ in range(4):
        receives.failed("AccessDenied", "not\nyours")
        clock.now_s += 6
    assert receives.fault == (
        "sqs:ReceiveMessage on files has been failing for 18 s: AccessDenied: not yours; "
        "grant this role sqs:ReceiveMessage on files"
    )
    receives.succeeded()
    assert receives.fault == ""
    receives.failed("AccessDenied", "no")
    assert receives.fault == "", "the count of seconds starts again"


def test_what_was_long_ago_is_not_known_any_more(receives, clock):
    receives.failed("ServiceUnavailable", "down")
    clock.now_s += 20
    receives.failed("ServiceUnavailable", "down")
    assert receives.fault
    clock.now_s += call_health.STALE_S + 1
    assert receives.fault == ""
    receives.failed("ServiceUnavailable", "down")
    assert receives.fault == ""


KEY_CODES = [
    "KmsAccessDenied", "KmsDisabled", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired", "KmsInvalidKeyUsage",
    "KMS.AccessDeniedException", "KMS.DisabledException", "KMS.NotFoundException", "AWS.SimpleQueueService.KmsAccessDenied",
]  # fmt: skip


@pytest.mark.parametrize("code", KEY_CODES)
def test_a_key_that_cannot_be_used_is_named_with_what_it_needs(code):
    assert is_key_fault(code)
    assert permission_hint("sqs:ReceiveMessage", "files", code).startswith(
        "grant this role kms:Decrypt on the key that encrypts files"
    )
    assert "kms:GenerateDataKey" in permission_hint("sqs:SendMessage", "files-dlq", code)


@pytest.mark.parametrize(
    "code", ["KmsThrottled", "KMS.ThrottlingException", "ServiceUnavailable", "InvalidMessageContents"]
)
def test_what_is_no_denial_has_no_hint(code):
    assert not is_key_fault(code)
    assert permission_hint("sqs:ReceiveMessage", "files", code) == ""


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.AccessDenied", "403"]
)
def test_a_denial_names_the_permission(code):
    assert is_denial(code)
    assert permission_hint("sqs:DeleteMessage", "files", code) == "grant this role sqs:DeleteMessage on files"
    said = "User: arn:aws:iam::1:role/worker is not authorized to perform: kms:Decrypt on this resource"
    assert permission_hint("sqs:ReceiveMessage", "files", code, said).startswith("grant this role kms:Decrypt on")
