"""The estimators on a GPU: tests, ratios to loops by hand, synchronizations, memory.

``python benchmarks/gpu.py`` (or ``make gpu``) runs ``tests/test_gpu.py`` and the programs of
``benchmarks/speed.py`` on the GPU and writes ``benchmarks/GPU.rst``, in at most ``--minutes``.
Times are those of CUDA events: from the first kernel of a program to its last, waits included. A
program runs before it is measured. Where the time is short, lines at the end are left out and the
page says so.

It needs torch, scikit-learn, skorch and this package on the path, and pytest for the tests::

    PYTHONPATH=. python3 benchmarks/gpu.py

``--device cpu --output page.rst`` rehearses it with host clocks where there is no GPU.
"""

import argparse
import gc
import os
import platform
import subprocess
import sys
import time
import warnings
from datetime import date
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(1, str(Path(__file__).resolve().parent))
sys.path.insert(2, str(Path(__file__).resolve().parent.parent / "tests"))

import numpy as np
import torch
from host_copies import DeviceCopies, HostCopies
from method_costs import METHODS, UsualSteps
from rst_table import rst_table
from sklearn.base import clone
from speed import (
    cpu_time,
    estimator,
    images,
    inforeg,
    joint,
    lines,
    make_data,
    paired,
    train_by_hand,
)

import inforeg_sk
from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.model_selection.fits import fit_all

ROOT = Path(__file__).resolve().parent.parent
#: Share of the time that the tests may take.
TESTS_SHARE = 0.5


def event_time(function, repeats=1):
    """Seconds that a program takes on the GPU's clock."""
    gc.collect()
    torch.cuda.synchronize()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        function()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1000 / repeats


def peak_memory(function, device):
    """Megabytes that a program allocates at most, beside what was there; NaN on the CPU."""
    if device != "cuda":
        function()
        return np.nan
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


# What crosses between host and device


def waits(program, device):
    """What a fit copies to the host and to the device, and how often it waits."""
    with HostCopies() as host, DeviceCopies() as there:
        program()
    n_warned = 0
    if device == "cuda":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                program()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        n_warned = sum("synchronizing" in str(w.message) for w in caught)
    return np.array([n_warned, host.count.total(), there.count.total()])


def per_epoch(program, device, short=1, long=3):
    """`waits` of an epoch: what a longer fit has more."""
    few, many = (waits(lambda n=n: program(n), device) for n in (short, long))
    return (many - few) / (long - short)


def fits(device):
    """Fits by name: functions of the number of epochs."""
    X, y = make_data()
    holes = ModalityDict({name: values.copy() for name, values in X.items()})
    holes["m0"][::3] = holes["m1"][1::4] = np.nan
    weight = np.linspace(0.5, 1.5, len(y))
    settings = dict(hidden=64, device=device)

    def inforeg_on(X, n, weight=None, **more):
        more = {"window_threshold": -np.inf, **settings, **more}
        clf = estimator(MultimodalInfoRegClassifier, epochs=n, **more)
        clf.fit(X, y, sample_weight=weight)

    yield "by hand", lambda n: train_by_hand(X, y, epochs=n, **settings)
    yield "joint", lambda n: joint(X, y, epochs=n, **settings)
    yield "InfoReg, open", lambda n: inforeg(X, y, epochs=n, **settings)
    yield "InfoReg, closed", lambda n: inforeg(X, y, "closed", epochs=n, **settings)
    yield "InfoReg, missing modalities", lambda n: inforeg_on(holes, n, missing="allow")
    yield "InfoReg, modality dropout", lambda n: inforeg_on(X, n, modality_dropout=0.3)
    yield "InfoReg, sample weights", lambda n: inforeg_on(X, n, weight)
    yield "InfoReg, early stopping", lambda n: inforeg_on(X, n, early_stopping=True)
    for name in OTHERS:
        yield name, lambda n, name=name: by_method(name, X, y, n, device)


#: Methods beside joint training and InfoReg; names of benchmarks/method_costs.py.
OTHERS = [name for name in METHODS if not name.startswith(("joint", "InfoReg"))]


def by_method(name, X, y, epochs, device):
    """A fit by a method; "joint" by the usual step, not in closed form."""
    method, own, _ = METHODS[name]
    if name == "G-Blending":
        own = {**own, "method__super_epoch": 5}
    kind = UsualSteps if name.startswith("joint") else MultimodalClassifier
    estimator(kind, hidden=64, epochs=epochs, device=device, method=method, **own).fit(X, y)


def methods(epochs, device):
    """Each method beside joint training by the usual step, as lines of ``benchmarks/speed.py``."""
    X, y = make_data()
    for name in OTHERS:
        base = "joint, with held-out part" if METHODS[name][1].get("train_split") else "joint"
        yield (
            f"{name} / {base}, usual step",
            None,
            lambda name=name: by_method(name, X, y, epochs, device),
            lambda base=base: by_method(base, X, y, epochs, device),
            1,
        )


def stacks(epochs, device, n_members):
    """Many members in one pass beside one, as lines of ``benchmarks/speed.py``."""
    X, y = make_data(1447)

    def fit(n):
        base = estimator(MultimodalInfoRegClassifier, hidden=64, epochs=epochs, device=device)
        members = [clone(base).set_params(random_state=seed) for seed in range(n)]
        rows = np.arange(len(y))
        for one in fit_all(members, X, y, [rows] * n):
            if one.error is not None:
                raise one.error

    name = f"{n_members:,} members in one pass / one"
    yield name, None, lambda: fit(n_members), lambda: fit(1), 1


# The run


def run_tests(seconds, n_workers):
    """Run tests/test_gpu.py; a line that says how it ended, and whether well."""
    if find_spec("pytest") is None:
        return "``tests/test_gpu.py`` did not run: there is no pytest.", False
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_gpu.py"]
    command += ["--durations=8", "--tb=short"]
    if n_workers > 1 and find_spec("xdist") is not None:
        command += ["-n", str(n_workers), "--dist", "worksteal"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, timeout=seconds, capture_output=True, text=True, env=one_thread
        )
    except subprocess.TimeoutExpired:
        return f"``tests/test_gpu.py`` did not end within {seconds:.0f} s.", False
    print(done.stdout[-20000:], done.stderr[-1000:], flush=True)
    last = done.stdout.strip().rpartition("\n")[2].strip("= ")
    return f"``tests/test_gpu.py``: {last}.", done.returncode == 0


def driver_version():
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.split()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def measure(arguments, deadline):
    """Rows of the three tables, and names of the lines that the time did not reach."""
    device = arguments.device
    timer = event_time if device == "cuda" else cpu_time
    crossings, speed, memory, missed = [], [], [], []
    programs = (
        *lines(arguments.epochs, device),
        *images(2, device),
        *stacks(arguments.epochs, device, arguments.members),
        *methods(arguments.epochs, device),
    )
    for name, _, first, second, repeats in programs:
        if arguments.only not in name:
            continue
        if time.monotonic() > deadline:
            missed.append(name)
            continue
        memory.append([name, *(f"{peak_memory(f, device):.0f}" for f in (first, second))])
        ratios, times = paired(first, second, arguments.pairs, repeats, timer)
        figures = np.median(ratios), ratios.min(), ratios.max()
        row = [name, *(f"{r:.2f}" for r in figures), *(f"{1000 * t:.2f}" for t in times)]
        speed.append(row)
        print("  ".join([*row, *memory[-1][1:]]), flush=True)
    for name, program in fits(device):
        if arguments.only not in name:
            continue
        if time.monotonic() > deadline:
            missed.append(f"copies of {name}")
            continue
        program(1)
        row = [name, *(f"{n:g}" for n in per_epoch(program, device))]
        crossings.append(row)
        print("  ".join(row), flush=True)
    return crossings, speed, memory, missed


def page(arguments, tests, crossings, speed, memory, missed):
    """The page of results."""
    where = f"a rehearsal on the CPU ({platform.processor() or platform.machine()}), host clocks"
    if arguments.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        where = (
            f"one {card.name} ({card.total_memory / 2**30:.0f} GiB), driver {driver_version()}, "
            f"CUDA {torch.version.cuda}, times by CUDA events"
        )
    text = [
        "The estimators on a GPU",
        "=======================",
        "",
        f"Made by ``benchmarks/gpu.py`` on {date.today()}: {where}. inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, Python {platform.python_version()}. "
        f"``benchmarks/speed.py`` describes the programs; fits of {arguments.epochs} epochs, "
        f"medians of {arguments.pairs} paired ratios.",
        "",
        tests,
        "",
    ]
    if missed:
        text += [f"The time did not reach: {'; '.join(missed)}.", ""]
    if speed:
        text += rst_table(["programs", "ratio", "from", "to", "ms", "ms of the second"], speed)
    if crossings:
        text += [
            "In one epoch (half of what a fit of 3 epochs has more than one of 1): how often "
            "the host waits by ``torch.cuda.set_sync_debug_mode``, tensors or values that come to "
            "the host, tensors that go to the device.",
            "",
            *rst_table(["fit", "waits", "to the host", "to the device"], crossings),
        ]
    if memory and arguments.device == "cuda":
        text += [
            "Peak of the memory that torch allocates on the device beside what was there, in MiB.",
            "",
            *rst_table(["programs", "first", "second"], memory),
        ]
    return "\n".join(text)


def main():
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--output", type=Path, help="the page; with cpu there is no default")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--members", type=int, default=1000, help="of the line on one pass")
    parser.add_argument("--only", default="", help="lines whose name contains this")
    parser.add_argument("--workers", type=int, default=1, help="of the tests, with pytest-xdist")
    parser.add_argument("--no-tests", action="store_true")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py: torch finds no CUDA device here; nothing was run or written.")
    if arguments.device == "cpu" and arguments.output is None:
        sys.exit("benchmarks/gpu.py: --device cpu is a rehearsal: say where by --output.")
    output = arguments.output or ROOT / "benchmarks" / "GPU.rst"
    torch.set_num_threads(1)
    tests, passed = "The tests did not run.", True
    if not arguments.no_tests:
        tests, passed = run_tests(60 * arguments.minutes * TESTS_SHARE, arguments.workers)
        print(tests, flush=True)
    warnings.simplefilter("ignore")
    # A line takes some seconds more than the time that is left when it begins.
    deadline = started + 60 * arguments.minutes - 30
    output.write_text(page(arguments, tests, *measure(arguments, deadline)))
    print(f"{output} after {time.monotonic() - started:.0f} s")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
