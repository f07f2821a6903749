"""Fixtures of searches and cross-validations."""

import pytest

from inforeg_sk.model_selection import together


@pytest.fixture
def stacks(monkeypatch):
    """Sizes of the stacks that were trained."""
    sizes, train = [], together._train

    def spy(group):
        sizes.append(len(group))
        train(group)

    monkeypatch.setattr(together, "_train", spy)
    return sizes
