"""Images and videos whose channels do not come first warn, with the `moveaxis` that helps."""

import warnings

import numpy as np
import pytest

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.network import CNNEncoder, GRUEncoder
from inforeg_sk.network.encoders import build_encoders


def told(shape, encoders="auto"):
    """Messages about the layout of samples of a shape."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build_encoders(encoders, {"img": shape}, {})
    return [str(w.message) for w in caught if "channel" in str(w.message)]


@pytest.mark.parametrize("encoder", ["auto", "cnn", "resnet18", CNNEncoder])
@pytest.mark.parametrize(
    "shape, moved",
    [
        ((32, 32, 3), (3, 32, 32)),
        ((28, 28, 1), (1, 28, 28)),
        ((20, 64, 4), (4, 20, 64)),
        ((5, 5, 3), (3, 5, 5)),
        ((8, 32, 24, 3), (3, 8, 32, 24)),
        ((3, 32, 24, 3), (3, 3, 32, 24)),
        ((1, 32, 24, 4), (4, 1, 32, 24)),
        ((8, 32, 24, 1), (1, 8, 32, 24)),
        ((8, 3, 32, 24), (3, 8, 32, 24)),
        ((16, 1, 32, 24), (1, 16, 32, 24)),
    ],
)
def test_the_call_in_the_message_makes_it_right(shape, moved, encoder):
    (message,) = told(shape, encoder)
    assert message.startswith(f"Modality 'img' has samples of shape {shape}")
    X = {"img": np.zeros((2, *shape))}
    call = message[message.index("X['img'] = ") :].rstrip(".")
    exec(call, {"np": np, "X": X})
    assert X["img"].shape == (2, *moved)
    assert not told(moved, encoder)


@pytest.mark.parametrize(
    "shape",
    [
        (3, 32, 32),
        (1, 28, 28),
        (3, 32, 3),
        (64, 3, 3),
        (512, 1, 1),
        (64, 7, 7),
        (2, 16, 1),
        (32, 32, 2),
        (32, 32, 5),
        (3, 3, 32, 32),
        (3, 8, 32, 24),
        (1, 16, 32, 24),
        (4, 10, 64, 1),
        (64, 4, 3, 3),
    ],
)
def test_channels_first_and_what_may_be_say_nothing(shape):
    assert not told(shape)


@pytest.mark.parametrize("encoder", ["mlp", lambda input_shape: CNNEncoder(input_shape)])
def test_encoders_that_do_not_read_channels_or_are_the_users_say_nothing(encoder):
    assert not told((32, 32, 3), encoder)
    assert not told((32, 3), "gru") and not told((32, 3), GRUEncoder)
    assert not told((32, 3), "cnn")  # a spectrogram


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
def test_fit_warns_at_the_users_line_and_only_where_the_network_is_made(cls):
    X, y = {"img": np.zeros((8, 12, 12, 3)), "b": np.eye(8)}, np.arange(8) % 2
    model = cls(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match=r"np\.moveaxis\(X\['img'\], 3, 1\)") as caught:
        model.fit(X, y)
    assert [w.filename for w in caught if "moveaxis" in str(w.message)] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y).predict(X)
        cls(max_epochs=1).fit({**X, "img": np.moveaxis(X["img"], 3, 1)}, y)
