"""What each method costs beside joint training: small perceptrons, and a ResNet-18 beside vectors.

A method should cost at most its number of passes (of the network, forward and backward) plus a
quarter. Times are process times of a fit in one thread, the best of some rounds in which all
methods take turns.

``python benchmarks/method_costs.py --write`` writes ``benchmarks/METHOD_COSTS.rst``.
"""

import argparse
import platform
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rst_table import rst_table
from skorch.dataset import ValidSplit

import inforeg_sk
from inforeg_sk import MultimodalClassifier

HERE = Path(__file__).resolve().parent
HELD_OUT = {"train_split": ValidSplit(10)}


class UsualSteps(MultimodalClassifier):
    """Joint training by automatic differentiation, as most methods need it."""

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs)


#: Each method, its settings, and how many passes a batch takes, with M modalities.
METHODS = {
    "joint, in closed form": ("joint", {}, lambda m: 1),
    "joint": ("joint", {}, lambda m: 1),
    "joint, with held-out part": ("joint", HELD_OUT, lambda m: 1),
    "InfoReg*": ("inforeg", {}, lambda m: 1),
    "OGM-GE": ("ogm-ge", {}, lambda m: 1),
    "AGM, inputs zeroed": ("agm", {"method__zero": "inputs"}, lambda m: 2**m - 1),
    "AGM, features zeroed": ("agm", {"method__zero": "features"}, lambda m: 1),
    "PMR": ("pmr", {}, lambda m: 1.5),
    "G-Blending": ("g-blending", HELD_OUT, lambda m: m + 2),
    "MMPareto": ("mmpareto", {}, lambda m: m + 1),
    "Greedy": ("greedy", {}, lambda m: 1),
    "DGL": ("dgl", {}, lambda m: 2),
    "TCMax": ("tcmax", {}, lambda m: 1),
    "OPM": ("opm", {}, lambda m: 1),
    "D&R": ("dr", HELD_OUT, lambda m: 1),
}


def vectors():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=600)
    X = {f"m{i}": (rng.normal(size=(600, 50)) + y[:, None]).astype(np.float32) for i in range(3)}
    return X, y, {"max_epochs": 40, "fisher": None}


def images():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=96)
    X = {
        "image": rng.normal(size=(96, 3, 64, 64)).astype(np.float32),
        "vector": (rng.normal(size=(96, 50)) + y[:, None]).astype(np.float32),
    }
    return X, y, {"max_epochs": 2, "encoders": {"image": "resnet18"}, "fisher": None}


def spent(name, X, y, settings):
    method, own, _ = METHODS[name]
    if name == "InfoReg*":
        settings = {**settings, "fisher": "batch"}
    if name == "G-Blending":
        own = {**own, "method__super_epoch": min(10, settings["max_epochs"])}
    kind = UsualSteps if name in ("joint", "joint, with held-out part") else MultimodalClassifier
    estimator = kind(method, random_state=0, **{**settings, **own})
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    return time.process_time() - start


def measure(data, n_rounds):
    X, y, settings = data()
    best = dict.fromkeys(METHODS, np.inf)
    for name in METHODS:  # what is loaded late is loaded now
        spent(name, X, y, {**settings, "max_epochs": 1})
    for _ in range(n_rounds):
        for name in METHODS:
            best[name] = min(best[name], spent(name, X, y, settings))
    return best, len(X)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    parts = [
        ("Multilayer perceptrons: three modalities of 50 columns, 600 samples, 40 epochs",
         vectors, 3),
        ("ResNet-18 on 96 images of 64 x 64, beside vectors, 2 epochs", images, 2),
    ]  # fmt: skip
    text = [
        "What the methods cost",
        "=====================",
        "",
        f"Made by ``python benchmarks/method_costs.py --write`` on {date.today()}: inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, one thread. Times beside plain joint training by its usual "
        "step (not in closed form, which joint, InfoReg and OGM-GE may take); for methods with a "
        "held-out part, beside joint training with one. Passes: how often a batch runs through the "
        "network forward and backward; of G-Blending, with the trial trainings.",
        "",
    ]
    for title, data, n_rounds in parts:
        best, n_modalities = measure(data, n_rounds)
        body = []
        for name, (_, own, passes) in METHODS.items():
            base = best["joint, with held-out part" if own is HELD_OUT else "joint"]
            ratio, n = best[name] / base, passes(n_modalities)
            fits = "yes" if ratio <= 1.25 * n else "no"
            body.append([name, f"{best[name]:.2f}", f"{ratio:.2f}", f"{n:g}", fits])
        text += [title, "-" * len(title), ""]
        text += rst_table(
            ["method", "seconds", "over joint", "passes", "within passes + 25 %"], body
        )
    text = "\n".join(text)
    print(text)
    if given.write:
        (HERE / "METHOD_COSTS.rst").write_text(text)


if __name__ == "__main__":
    main()
