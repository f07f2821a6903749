"""Min-norm weights against a grid, and norms brought up by hand."""

import pytest
import torch

from inforeg_sk.functional import min_norm_weight, norm_growth, pareto_weight


def products(a, u):
    return (a * a).sum(-1), (u * u).sum(-1), (a * u).sum(-1)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def test_the_min_norm_point_is_the_best_of_a_grid():
    a, u = draw(40, 4), 2 * draw(40, 4, seed=1)
    weight = min_norm_weight(*products(a, u))
    grid = torch.linspace(0, 1, 10001, dtype=torch.float64)[:, None, None]
    norms = (grid * a + (1 - grid) * u).norm(dim=-1)
    torch.testing.assert_close(weight, grid[norms.argmin(dim=0), 0, 0], rtol=0, atol=1e-4)
    assert ((weight > 0) & (weight < 1)).any() and (weight == 1).any()


def test_in_conflict_one_step_serves_both_losses():
    a = draw(200, 5)
    u = draw(200, 5, seed=1)
    aa, uu, au = products(a, u)
    weight = pareto_weight(aa, uu, au)
    conflict = au <= 0
    assert conflict.any() and not conflict.all()
    h = weight[:, None] * a + (1 - weight[:, None]) * u
    for gradient in (a, u):
        served = (h * gradient).sum(-1)[conflict]
        torch.testing.assert_close(served, h.square().sum(-1)[conflict])
    assert (weight[~conflict] == 0.5).all()


@pytest.mark.parametrize(
    ("a", "u", "weight"),
    [
        ([1.0, 0.0], [0.0, 1.0], 0.5),  # at a right angle: as a conflict
        ([1.0, 0.0], [0.0, 3.0], 0.9),
        ([1.0, 0.0], [-3.0, 0.0], 0.75),
        ([1.0, 0.0], [9.0, 0.0], 0.5),  # no conflict
        ([0.0, 0.0], [3.0, 0.0], 1.0),  # a zero gradient is the shortest
        ([0.0, 0.0], [0.0, 0.0], 0.5),
    ],
)
def test_weights_by_hand(a, u, weight):
    got = pareto_weight(*products(torch.tensor(a), torch.tensor(u)))
    assert got.item() == pytest.approx(weight, rel=1e-6)


def test_norms_are_brought_up_and_never_down():
    wanted, norm = torch.tensor([3.0, 3.0, 3.0, 0.0]), torch.tensor([2.0, 4.0, 0.0, 0.0])
    assert norm_growth(wanted, norm).tolist() == [1.5, 1.0, 1.0, 1.0]
