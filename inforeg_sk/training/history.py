"""The history: skorch's, with access that does not slow down as it grows."""

from skorch.history import History
from torch import Tensor

__all__ = ["BatchRow", "DroppedBatches", "TrainingHistory"]


class TrainingHistory(History):
    """skorch's history, indexed in the same ways.

    skorch copies the list of all epochs at each access; an epoch by its number needs none.
    """

    def __getitem__(self, i):
        if isinstance(i, int):
            return list.__getitem__(self, i)
        if isinstance(i, tuple) and i and isinstance(i[0], int):
            return History([list.__getitem__(self, i[0])])[(0, *i[1:])]
        return super().__getitem__(i)

    def to_file(self, f):
        """Save as a json file; rows of batches that were not kept are an empty list."""
        kept = [
            {**row, "batches": []} if isinstance(row.get("batches"), DroppedBatches) else row
            for row in self
        ]
        History(kept).to_file(f)


class BatchRow(dict):
    """A batch's row of the history while its epoch runs: a loss leaves the device when it is read.

    At the end of the epoch a plain dict of floats takes its place.
    """

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if isinstance(value, Tensor):
            value = self[key] = value.item()
        return value

    def get(self, key, default=None):
        return self[key] if key in self else default

    def items(self):
        return [(key, self[key]) for key in self]

    def values(self):
        return [self[key] for key in self]

    def __reduce__(self):
        return dict, (self.items(),)


class DroppedBatches(list):
    """In place of the rows of batches of an epoch that were not kept. To read them raises."""

    def _refuse(self, *args):
        raise ValueError(
            "The history has no rows of batches of this epoch: the 'record_batches' parameter was "
            "False in fit. Give record_batches=True to keep them; what is of whole epochs, such as "
            "history[:, 'train_loss'], is there."
        )

    __getitem__ = __iter__ = __len__ = __bool__ = __contains__ = __reversed__ = _refuse
    append = extend = index = count = __add__ = _refuse

    def __repr__(self):
        return "<rows of batches, not kept: record_batches=False>"

    def __reduce_ex__(self, protocol):
        return DroppedBatches, ()
