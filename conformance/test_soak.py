"""The soak of `soak.py`, short: failures, kill -9, resharding."""

from soak import soak


def test_nothing_is_lost_or_reordered_whatever_happens():
    print(soak(records=40_000, batch=200, patience=300))
