"""The settings of retries: a wrong one is named with what would be right; the index is not needed."""

import pytest

from recovery.manager.settings import ManagerSettings
from worker.core.base.errors import ConfigError
from worker.core.base.settings_model import load_as

NEEDED = {
    "sqs_queue_url": "http://sqs/q/source", "dlq_queue_url": "http://sqs/q/dlq", "s3_bucket": "files", "state_bucket": "state",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("INDEX_URL", "OPENSEARCH_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_the_usual_rules_and_no_index():
    settings = load_as(ManagerSettings, **NEEDED)
    rules = settings.retry_rules
    assert (rules.first_s, rules.max_s, rules.times, rules.groups) == (300, 21_600, 8, {})
    assert (settings.has_index, settings.retry_rate) == (False, 10)
    assert load_as(ManagerSettings, **NEEDED, index_url="http://index:9200").has_index


def test_groups_have_numbers_of_their_own():
    settings = load_as(ManagerSettings, **NEEDED, retry_groups="5b1f2c=0, 9ac0=3")
    assert settings.retry_rules.groups == {"5b1f2c": 0, "9ac0": 3}


@pytest.mark.parametrize("wrong", ["5b1f2c", "5b1f2c=x", "=3", "5b1f2c=101", "a=1;b=2"])
def test_a_wrong_group_is_answered_with_what_would_be_right(wrong):
    with pytest.raises(ConfigError, match=r"RETRY_GROUPS=.*it should be FINGERPRINT=TIMES"):
        load_as(ManagerSettings, **NEEDED, retry_groups=wrong)


def test_an_index_that_is_none_is_still_refused():
    with pytest.raises(ConfigError, match="INDEX_URL"):
        load_as(ManagerSettings, **NEEDED, index_url="nonsense")
