"""What a training run needs to go on exactly, beside weights, optimizer and history, as tensors."""

import torch

from ..network import Dropout

__all__ = ["load_run_state", "run_state"]


def run_state(run, network):
    """State of a run, for a file.

    Parameters
    ----------
    run : TrainingRun
    network : MultimodalNetwork

    Returns
    -------
    dict
        Of tensors, numbers and strings: what ``torch.load(weights_only=True)`` takes.
    """
    run.take_global_state()
    return {
        "generators": {k: g.get_state() for k, g in run.generators._asdict().items()},
        "dropout": [
            {
                "seed": layer.seed,
                "state": None if layer.generator is None else layer.generator.get_state(),
            }
            for layer in _dropout_layers(network)
        ],
        "method": run.method.state_dict(),
        "columns": [list(column) for column in run.keys.columns],
    }


def load_run_state(run, network, state):
    """Take over the state of another run.

    Parameters
    ----------
    run : TrainingRun
    network : MultimodalNetwork
    state : dict
        From `run_state`.

    Raises
    ------
    ValueError
        If it is of a run with another method or another network.
    """
    layers = _dropout_layers(network)
    if len(layers) != len(state["dropout"]):
        raise ValueError(
            f"The state of training is of a network with {len(state['dropout'])} layers of "
            f"dropout; this one has {len(layers)}."
        )
    run.method.load_state_dict(state["method"])
    for name, generator in run.generators._asdict().items():
        generator.set_state(state["generators"][name].cpu())
    device = next(network.parameters()).device
    for layer, kept in zip(layers, state["dropout"], strict=True):
        layer.seed, layer.generator = kept["seed"], None
        if kept["state"] is not None:
            try:
                layer.generator = torch.Generator(device)
                layer.generator.set_state(kept["state"].cpu())
            except RuntimeError:  # saved on another kind of device: begin anew
                layer.generator = None
    labels = {}
    for quantity, label in state["columns"]:
        labels.setdefault(quantity, []).append(label)
    for quantity, found in labels.items():
        run.keys.claim(quantity, None if found == [None] else tuple(found))


def _dropout_layers(network):
    return [module for module in network.modules() if isinstance(module, Dropout)]
