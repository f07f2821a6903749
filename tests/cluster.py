"""What tests have workers of a cluster do: they import this module, as they cannot a test's own."""

import os
import signal
from pathlib import Path

from distributed import WorkerPlugin
from joblib import parallel_config
from skorch.callbacks import Callback

from inforeg_sk.model_selection import together
from inforeg_sk.model_selection.followed import FollowedRun
from inforeg_sk.model_selection.processes import Call, Processes


class Journal:
    """Who began to train, in a folder that all processes see; some of them are killed.

    Parameters
    ----------
    folder : Path
    n_killed : int, default=0
        How many processes are killed, once each, at the end of the third epoch of their training.
        Never the one that made this object.
    with_it : list of int, optional
        Further processes that are killed right before.
    """

    def __init__(self, folder, n_killed=0, with_it=()):
        self.folder, self.n_killed, self.caller = Path(folder), n_killed, os.getpid()
        self.with_it = list(with_it)

    def begin(self):
        """Write down that this process begins to train."""
        with open(self.folder / "begun", "a") as file:
            file.write(f"{os.getpid()}\n")

    @property
    def begun(self):
        """Of each training that was begun, the process."""
        return [int(line) for line in (self.folder / "begun").read_text().split()]

    @property
    def killed(self):
        """The processes that were killed."""
        return [int(path.read_text()) for path in self.folder.glob("killed_*")]

    def end_epoch(self, epoch):
        """Kill this process, if it is among those to be killed."""
        if epoch < 2 or os.getpid() == self.caller:
            return
        for i in range(self.n_killed):
            try:
                with open(self.folder / f"killed_{i}", "x") as file:  # by one process only
                    file.write(str(os.getpid()))
            except FileExistsError:
                continue
            for pid in set(self.with_it) - {os.getpid()}:
                os.kill(pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


class WriteDown(WorkerPlugin):
    """Has workers keep a journal of the stacks that they train."""

    name = "journal"

    def __init__(self, journal):
        self.journal = journal

    def setup(self, worker):
        self._train, self._end_epoch = together._train, FollowedRun.end_epoch
        plugin = self

        def train(group):
            plugin.journal.begin()
            return plugin._train(group)

        def end_epoch(records, epoch, result):
            plugin.journal.end_epoch(epoch)
            return plugin._end_epoch(records, epoch, result)

        together._train, FollowedRun.end_epoch = train, end_epoch

    def teardown(self, worker):
        together._train, FollowedRun.end_epoch = self._train, self._end_epoch


class WriteDownFits(Callback):
    """Keeps a journal of single fits."""

    def __init__(self, journal):
        self.journal = journal

    def on_train_begin(self, net, **kwargs):
        self.journal.begin()

    def on_epoch_end(self, net, **kwargs):
        self.journal.end_epoch(len(net.history) - 1)


def fail(own, *shared):
    raise ValueError(f"{own} with {len(shared)} shared")


def process(own, *shared):
    return own, os.getpid()


def goes_on_after_an_error():
    """A worker that has others make calls, of which one fails, and then others."""
    calls = [Call(i, ("shared",)) for i in range(3)]
    with parallel_config("dask"):
        for _ in range(2):
            try:
                Processes().map(fail, calls)
            except ValueError as error:
                told = str(error)
        return told, [own for own, _ in Processes().map(process, calls)]
