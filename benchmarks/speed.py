"""The estimators against the same networks trained by hand: ratios of CPU time, in one run.

``python benchmarks/speed.py`` prints one table and writes ``benchmarks/SPEED.rst``. Each line is a
ratio of two programs that ran in turn, on one core: the median of ``--pairs`` paired ratios of CPU
time, with the smallest and the largest. "By hand" is the loop that one writes without a library:
the same layers, one gather an epoch, batches as slices of it, torch's fused AdamW, the losses kept
on the device. It has no callbacks, no history, no checks of data.

Small: 3 modalities of 50 features, hidden 64, batches of 64, 4,000 samples, 10 classes.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import platform
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rst_table import rst_table
from torch import nn
from torch.nn import functional as F

import inforeg_sk
from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier

ROOT = Path(__file__).resolve().parent
WEIGHT_DECAY = 1.0  # of DecayAdamW, the estimators' default


def make_data(n_samples=4000, n_modalities=3, width=50, n_classes=10, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n_samples)
    centers = rng.normal(size=(n_modalities, n_classes, width))
    X = {
        f"m{i}": (centers[i][y] * 0.3 + rng.normal(size=(n_samples, width))).astype(np.float32)
        for i in range(n_modalities)
    }
    return ModalityDict(X), y


# By hand


class ByHand(nn.Module):
    """What the estimators build by default, without a name for anything."""

    def __init__(self, widths, hidden, n_classes):
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(width, hidden), nn.ReLU()) for width in widths
        )
        self.head = nn.Linear(hidden * len(widths), n_classes)

    def forward(self, X):
        features = [encoder(x) for encoder, x in zip(self.encoders, X, strict=True)]
        return self.head(torch.cat(features, dim=1))


def train_by_hand(X, y, *, hidden, epochs, batch_size=64, device="cpu"):
    torch.manual_seed(0)
    n_classes = int(y.max()) + 1
    X, y = [torch.from_numpy(x).to(device) for x in X.values()], torch.from_numpy(y).to(device)
    net = ByHand([x.shape[1] for x in X], hidden, n_classes).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=WEIGHT_DECAY, fused=True)
    losses = []
    for _ in range(epochs):
        order = torch.randperm(len(y)).to(device)
        shuffled, target = [x[order] for x in X], y[order]
        for start in range(0, len(y), batch_size):
            batch = [x[start : start + batch_size] for x in shuffled]
            loss = F.cross_entropy(net(batch), target[start : start + batch_size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    torch.stack(losses).tolist()
    return net


def predict_by_hand(net, X):
    net.eval()
    device = net.head.weight.device
    with torch.no_grad():
        logits = net([torch.from_numpy(x).to(device) for x in X.values()])
    return logits.double().softmax(dim=1).argmax(dim=1).cpu().numpy()


# The estimators


def estimator(
    kind=MultimodalClassifier, *, hidden, epochs, batch_size=64, device="cpu", **settings
):
    return kind(
        device=device,
        encoders__hidden=hidden,
        encoders__dropout=0.0,
        max_epochs=epochs,
        batch_size=batch_size,
        random_state=0,
        **settings,
    )


def joint(X, y, **settings):
    return estimator(fisher=None, **settings).fit(X, y)


def inforeg(X, y, window="open", **settings):
    threshold = {"open": -np.inf, "closed": np.inf}[window]
    first = {"open": "open", "closed": "closed"}[window]
    return estimator(
        MultimodalInfoRegClassifier,
        window_threshold=threshold,
        first_epoch=first,
        **settings,
    ).fit(X, y)


# Measurement


def cpu_time(function, repeats=1):
    gc.collect()
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def paired(first, second, pairs, repeats=1, timer=cpu_time):
    """Ratios of the times of two programs that run in turn; each has run once before."""
    first(), second()
    ratios, times = [], []
    for i in range(pairs):
        order = (first, second) if i % 2 == 0 else (second, first)
        spent = {f: timer(f, repeats) for f in order}
        ratios.append(spent[first] / spent[second])
        times.append((spent[first], spent[second]))
    return np.array(ratios), np.median(times, axis=0)


def lines(epochs, device="cpu"):
    """Pairs of programs: name, limit, the two, and repeats in one measurement."""
    X, y = make_data()
    small = dict(hidden=64, epochs=epochs, device=device)
    wide = dict(hidden=512, epochs=max(1, epochs // 5), device=device)

    def by_hand(**settings):
        return lambda: train_by_hand(X, y, **settings)

    yield (
        "joint / by hand, small",
        1.15,
        lambda: joint(X, y, standardize=False, **small),
        by_hand(**small),
        1,
    )
    yield (
        "joint / by hand, small, standardized",
        None,
        lambda: joint(X, y, **small),
        by_hand(**small),
        1,
    )
    yield (
        "joint / by hand, hidden 512",
        1.08,
        lambda: joint(X, y, standardize=False, **wide),
        by_hand(**wide),
        1,
    )
    yield (
        "InfoReg, open, unimodal losses / by hand, small",
        1.45,
        lambda: inforeg(X, y, standardize=False, **small),
        by_hand(**small),
        1,
    )
    for window, limit in (("open", 1.30), ("closed", 1.15)):
        yield (
            f"InfoReg, {window}, unimodal losses / joint, small",
            limit,
            lambda window=window: inforeg(X, y, window, standardize=False, **small),
            lambda: joint(X, y, standardize=False, **small),
            1,
        )
    for window, limit in (("open", None), ("closed", None)):
        yield (
            f"InfoReg, {window}, joint loss only / joint, small",
            limit,
            lambda window=window: inforeg(
                X, y, window, standardize=False, unimodal_weight=0, **small
            ),
            lambda: joint(X, y, standardize=False, **small),
            1,
        )

    many, _ = make_data(10_000, seed=1)
    clf, net = joint(X, y, standardize=False, **small), train_by_hand(X, y, **small)
    yield (
        "predict of 10,000 / one pass by hand",
        1.2,
        lambda: clf.predict(many),
        lambda: predict_by_hand(net, many),
        10,
    )
    one = many[:1]
    yield (
        "predict of 1 / one call by hand",
        3.0,
        lambda: clf.predict(one),
        lambda: predict_by_hand(net, one),
        200,
    )


def images(epochs, device="cpu"):
    """ResNet-18 on small images: what InfoReg adds to a network of 22 million parameters.

    Its cost is that of the parameters, for each step, and so falls with the size of batches and
    images; 64 is the batch size of the authors' code.
    """
    rng = np.random.default_rng(0)

    def fit(kind, batch_size, **settings):
        n_samples = 4 * batch_size
        X = ModalityDict(
            {
                "image": rng.normal(size=(n_samples, 3, 32, 32)).astype(np.float32),
                "spectrogram": rng.normal(size=(n_samples, 1, 32, 32)).astype(np.float32),
            }
        )
        kind(
            encoders="resnet18",
            max_epochs=epochs,
            batch_size=batch_size,
            random_state=0,
            device=device,
            **settings,
        ).fit(X, np.arange(n_samples) % 4)

    for batch_size in (64, 16):
        yield (
            f"InfoReg, open, unimodal losses / joint, ResNet-18, {batch_size}",
            1.05,
            lambda n=batch_size: fit(MultimodalInfoRegClassifier, n, window_threshold=-np.inf),
            lambda n=batch_size: fit(MultimodalClassifier, n, fisher=None),
            1,
        )


def late_over_early(n_epochs=3000):
    """CPU time of an epoch near the end over that of an early one, one batch an epoch."""
    from skorch.callbacks import Callback

    class Times(Callback):
        def on_train_begin(self, net, **kwargs):
            self.times_ = []

        def on_epoch_begin(self, net, **kwargs):
            self.times_.append(time.process_time())

    X, y = make_data(64)
    clf = estimator(
        MultimodalInfoRegClassifier,
        hidden=16,
        epochs=n_epochs,
        callbacks=[("times", Times())],
        window_threshold=-np.inf,
    ).fit(X, y)
    spent = np.diff(dict(clf.callbacks_)["times"].times_)
    return np.median(spent[-50:]) / np.median(spent[30:80])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--only", default="", help="lines whose name contains this")
    parser.add_argument("--write", action="store_true", help="write benchmarks/SPEED.rst")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    print(f"{'':54}{'ratio':>7}{'from':>7}{'to':>7}{'limit':>7}  seconds")
    for name, limit, first, second, repeats in (*lines(arguments.epochs), *images(2)):
        if arguments.only not in name:
            continue
        ratios, times = paired(first, second, arguments.pairs, repeats)
        row = name, np.median(ratios), ratios.min(), ratios.max(), limit, *times
        rows.append(row)
        shown = f"{limit:7.2f}" if limit else " " * 7
        print(
            f"{name:54}{row[1]:7.2f}{row[2]:7.2f}{row[3]:7.2f}{shown}  "
            f"{times[0]:.4f} {times[1]:.4f}",
            flush=True,
        )
    if not arguments.only or arguments.only in "epoch 3,000 / epoch 50":
        ratio = late_over_early()
        rows.append(("epoch 3,000 / epoch 50", ratio, ratio, ratio, 1.1, np.nan, np.nan))
        print(f"{'epoch 3,000 / epoch 50':54}{ratio:7.2f}{'':14}{1.1:7.2f}", flush=True)
    if arguments.write:
        write(rows, arguments)


def missed(rows):
    """What the page says of the limits that are not kept."""
    over = [
        f"{name} ({r:.2f})" for name, r, _, _, limit, *_ in rows if limit and round(r, 2) > limit
    ]
    if not over:
        return []
    text = f"Not kept: {', '.join(over)}."
    if any(name == "joint / by hand, small" and r < 1 for name, r, *_ in rows):
        text += (
            " Joint training of small networks takes less time than the loop by hand, so that "
            "what InfoReg adds is a larger part of it."
        )
    return [text, ""]


def write(rows, arguments):
    """Write the page of results."""
    head = ["programs", "ratio", "from", "to", "limit", "kept"]
    body = [
        [
            name,
            f"{r:.2f}",
            f"{low:.2f}",
            f"{high:.2f}",
            f"{limit:.2f}" if limit else "-",
            "-" if limit is None else "yes" if r <= limit else "no",
        ]
        for name, r, low, high, limit, *_ in rows
    ]
    text = "\n".join(
        [
            "Speed",
            "=====",
            "",
            f"Made by ``python benchmarks/speed.py --write`` on {date.today()}: inforeg_sk "
            f"{inforeg_sk.__version__}, torch {torch.__version__}, Python "
            f"{platform.python_version()}, one core. CPU time, medians of {arguments.pairs} paired "
            f"ratios, fits of {arguments.epochs} epochs. ``benchmarks/speed.py`` describes the "
            "programs; a limit is what we ask of ourselves.",
            "",
            *rst_table(head, body),
            *missed(rows),
            ".. figure:: results/scaling.png",
            "   :width: 100%",
            "   :alt: CPU time of a fit against samples, modalities, parameters and epochs",
            "",
            "   CPU time of a fit by ``python benchmarks/scaling.py``: medians of three, bands "
            "from the fastest to the slowest. The numbers are in ``results/scaling.csv``.",
            "",
        ]
    )
    (ROOT / "SPEED.rst").write_text(text)


if __name__ == "__main__":
    main()
