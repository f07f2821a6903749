"""What the tests of the displays share: pyplot, small data and a fit."""

import matplotlib.pyplot
import pytest

from inforeg_sk import EvidencePool, InfoReg, MultimodalClassifier
from inforeg_sk.datasets import make_multimodal_classification


@pytest.fixture
def plt():
    return matplotlib.pyplot


@pytest.fixture(scope="package")
def data():
    return make_multimodal_classification(120, random_state=0)


@pytest.fixture(scope="package")
def fitted(data):
    method = InfoReg(alpha=2.0)
    clf = MultimodalClassifier(method, max_epochs=6, lr=0.01, random_state=0)
    return clf.fit(*data)


@pytest.fixture(scope="package")
def pool(data):
    """A small evidence pool: its network and a ridge a modality."""
    network = MultimodalClassifier(max_epochs=1, random_state=0)
    experts = {"strong": ["ridge"], "weak": ["ridge"], "joint": []}
    return EvidencePool(network, experts, cv=2, random_state=0).fit(*data)


@pytest.fixture
def complaints(recwarn):
    """Warnings about what was drawn, not about matplotlib's own dependencies."""
    return lambda: [w for w in recwarn if not issubclass(w.category, DeprecationWarning)]
