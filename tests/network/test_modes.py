"""Training and evaluation mode."""

import pytest
from torch import nn

from inforeg_sk.network.modes import in_mode


def make():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.ReLU()))
    net.register_module("absent", None)
    return net


@pytest.mark.parametrize("mode", [True, False])
def test_a_module_is_in_a_mode_if_all_its_parts_are(mode):
    net = make().train(mode)
    assert in_mode(net, mode) and not in_mode(net, not mode)
    for part in (net[1][0], net[1], net[0]):
        part.training = not mode
        assert not in_mode(net, mode) and not in_mode(net, not mode)
        part.training = mode
