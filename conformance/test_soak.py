"""The soak of `soak.py`, whole: a million records, failures, kill -9 three times, resharding. Some two minutes."""

from soak import soak


def test_nothing_is_lost_or_reordered_whatever_happens():
    print(soak(records=1_000_000, batch=1000, patience=1200))
