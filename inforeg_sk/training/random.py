"""Random numbers: seeds for a fit, and keeping torch's global generator as it was."""

import threading
from contextlib import contextmanager
from typing import NamedTuple

import torch
from sklearn.utils import check_random_state

__all__ = ["Seeds", "device_generator", "draw_seeds", "initialisation", "isolated"]

# Initialisation seeds torch's global generator, which all threads share: one at a time.
_LOCK = threading.RLock()
_running = []


class Seeds(NamedTuple):
    """Independent seeds of one fit."""

    weights: int
    shuffling: int
    dropout: int
    modality_dropout: int
    method: int
    split: int  # of the samples that early stopping holds out


def draw_seeds(random_state):
    """Draw the seeds of a fit.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        scikit-learn's meaning: None draws on numpy's global generator, an int leaves it alone.

    Returns
    -------
    Seeds
    """
    rng = check_random_state(random_state)
    weights, shuffling, dropout = (int(seed) for seed in rng.randint(2**31 - 1, size=3))
    return Seeds(
        weights,
        shuffling,
        dropout,
        modality_dropout=dropout ^ 0x2545F491,
        method=dropout ^ 0x5D588B65,
        split=dropout ^ 0x3C6EF372,
    )


def device_generator(generator, device):
    """Return a generator on a device for one call of ``fit``.

    On the CPU it is `generator` itself. Elsewhere it is a new one, seeded by a draw on it: a
    generator of a device cannot be saved where the model may be loaded without that device.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    device : torch.device

    Returns
    -------
    torch.Generator
    """
    if device.type == "cpu":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)


@contextmanager
def initialisation(seed):
    """Seed torch's CPU generator for building a network; afterwards it is as before."""
    with _LOCK:
        state = torch.get_rng_state()
        try:
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_rng_state(state)


@contextmanager
def isolated(generator, device):
    """Run training that may draw on torch's global generators, and put them back afterwards.

    Our own layers have generators of their own. A user's module may hold ``nn.Dropout``, which
    draws on the global one: on the CPU it goes on from where the last call of the same run ended.
    With fits in several threads, the first to start saves the state and the last to end restores
    it; such modules then share one stream, in no fixed order.

    Parameters
    ----------
    generator : torch.Generator
        Stands for the global generator of the CPU, whose state it takes over in the end.
    device : torch.device
    """
    me = object()
    with _LOCK:
        if not _running:
            _saved.update(_states(device))
        _running.append(me)
        _seed_globals(generator)
    try:
        yield
    finally:
        with _LOCK:
            generator.set_state(torch.get_rng_state())
            _running.remove(me)
            if not _running:
                _restore()


def _seed_globals(generator):
    state, seed = generator.get_state(), generator.initial_seed()
    first = torch.Generator().manual_seed(seed).get_state()
    if state.numpy().tobytes() != first.numpy().tobytes():
        # It goes on. Devices have no state of ours, and must not repeat their first draws.
        ahead = torch.Generator()
        ahead.set_state(state)
        seed = int(torch.randint(2**62, (), generator=ahead))
    torch.manual_seed(seed)
    torch.set_rng_state(state)


_saved = {}


def _states(device):
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _restore():
    torch.set_rng_state(_saved.pop("cpu"))
    if "cuda" in _saved:
        torch.cuda.set_rng_state_all(_saved.pop("cuda"))
    if "mps" in _saved:
        torch.mps.set_rng_state(_saved.pop("mps"))
