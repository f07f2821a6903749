"""Parameters that change between two fits of the same network take effect, or warn."""

import pickle
import warnings

import pytest
import torch

from inforeg_sk import MultimodalInfoRegClassifier


def make(**params):
    return MultimodalInfoRegClassifier(
        **{"max_epochs": 1, "random_state": 0, "warm_start": True, **params}
    )


CHANGES = {
    "criterion__label_smoothing": 0.4,
    "optimizer": torch.optim.SGD,
    "encoders": "mlp",
    "encoders__hidden": 8,
    "fusion": "sum",
    "standardize": False,
    "prior_offset": True,
    "dtype": "float64",
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("pickled", [False, True])
def test_what_a_further_fit_keeps_warns_when_it_was_changed(trimodal, name, pickled):
    clf = make().fit(*trimodal)
    clf = pickle.loads(pickle.dumps(clf)) if pickled else clf
    clf.set_params(**{name: CHANGES[name]})
    with pytest.warns(UserWarning, match=f"{name} changed since the first fit") as caught:
        clf.fit(*trimodal)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=f"{name} changed since the first fit"):
        clf.partial_fit(*trimodal)
    clf.set_params(warm_start=False).fit(*trimodal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.partial_fit(*trimodal)


@pytest.mark.parametrize("pickled", [False, True])
def test_what_a_further_fit_reads_anew_does_not_warn(trimodal, pickled):
    clf = make(encoders={"text": torch.nn.Linear(6, 4)}).fit(*trimodal)
    clf = pickle.loads(pickle.dumps(clf)) if pickled else clf
    clf.set_params(alpha=0.5, lr=0.01, batch_size=8, optimizer__weight_decay=0.0, max_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(*trimodal)
        clf.partial_fit(*trimodal)
    assert clf.method_.alpha == 0.5 and clf.optimizer_.param_groups[0]["lr"] == 0.01
