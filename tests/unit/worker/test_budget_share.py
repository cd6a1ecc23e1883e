"""What one worker may take of what it has leased."""

import pytest

from worker.budget_share import Share
from worker.core.base.budget import Cap
from worker.core.s3.budget_ledger import Ask, Standing

CAP = Cap("", "seconds", 500)


@pytest.mark.parametrize(
    ("granted", "in_use", "more", "amount", "fits"),
    [
        (100, 90, {}, 10, True),
        (100, 90, {}, 11, False),
        (100, 90, {"is_last": True}, 11, True),
        (100, 90, {"is_last": True, "open": 1}, 11, False),
        (100, 100, {"is_last": True}, 1, False),
        (100, 100, {}, 0, False),
        (100, 99, {}, 0, True),
        (100, 0, {"is_asking": True}, 1, False),
    ],
)
def test_what_fits(granted, in_use, more, amount, fits):
    assert Share(CAP, granted, in_use, **more).fits(amount) is fits


def test_what_was_reported_beyond_the_limit_gives_no_room_when_an_estimate_turns_out_too_high():
    share = Share(CAP, granted=500, in_use=597, is_last=True)
    share.learn(Ask(CAP, 647), Standing(647, 647, 500, is_last=True))
    assert not share.fits(1)


def test_a_cap_is_used_up_when_what_is_wanted_was_asked_in_vain_and_is_asked_for_again():
    share = Share(CAP, granted=400, in_use=400, waiting=30)
    ask = share.ask()
    assert ask.wanted == 30
    share.learn(ask, Standing(400, 500, 500))
    share.waiting = 0
    assert (share.denied, share.ask().wanted) == (30, 30)
    share.learn(share.ask(), Standing(430, 530, 600))
    assert (share.denied, share.ask().wanted) == (0, 0)
