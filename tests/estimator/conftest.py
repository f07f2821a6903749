"""Fixtures for bad input: a guard of the training loop, and fitted classifiers."""

import pickle

import pytest
from bad_input import SETTINGS, Y, make_data, make_table

from inforeg_sk import MultimodalClassifier, MultimodalInfoRegClassifier


@pytest.fixture
def no_training(monkeypatch):
    """Fails a test that reaches the training loop."""

    def reached(self, *args, **kwargs):
        pytest.fail("training was reached")

    def forbid():
        monkeypatch.setattr(MultimodalClassifier, "fit_loop", reached)

    return forbid


@pytest.fixture(scope="module")
def fitted():
    """Fitted classifiers as pickles: a test may spoil its copy."""
    models = {
        False: MultimodalInfoRegClassifier(**SETTINGS).fit(make_data(), Y),
        True: MultimodalInfoRegClassifier(**SETTINGS).fit(make_table(), Y),
    }
    return {table: pickle.dumps(model) for table, model in models.items()}
