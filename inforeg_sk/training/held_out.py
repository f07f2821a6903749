"""Held-out samples for early stopping: a share of the data, by classes and groups."""

import numpy as np
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
)

from ..data.batches import ModalitySubset

__all__ = ["FractionSplit"]


class FractionSplit:
    """Cut a share of the samples off, as a `train_split`.

    Classes keep their shares, and no group is on both sides. With classes and groups the share is
    that of a fold of `StratifiedGroupKFold`, so it is as near to `fraction` as whole groups and
    folds allow.

    Parameters
    ----------
    fraction : float
        In (0, 1).
    stratified : bool
        Whether y holds classes.
    seed : int
    owner : str
        Name of the estimator, for errors.
    """

    def __init__(self, fraction, *, stratified, seed, owner):
        self.fraction = fraction
        self.stratified = stratified
        self.seed = seed
        self.owner = owner

    def __call__(self, dataset, y, groups=None):
        """Return the training and the validation part.

        Raises
        ------
        ValueError
            If the samples, classes or groups are too few.
        """
        try:
            train, valid = self._split(y, groups)
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True of {self.owner} holds out validation_fraction="
                f"{self.fraction} of the samples{' by classes' * self.stratified}"
                f"{' and groups' * (groups is not None)}, which is not possible here: {error}"
            ) from error
        return ModalitySubset(dataset, train), ModalitySubset(dataset, valid)

    def _split(self, y, groups):
        """Rows of both parts: one of the splitter's splits, drawn where there are several."""
        splits = self._splitter(groups).split(np.zeros(len(y)), y, groups)
        splits = [(train, valid) for train, valid in splits if len(train) and len(valid)]
        if not splits:
            raise ValueError("one of the parts would have no samples")
        if len(splits) == 1:
            return splits[0]
        # Folds of groups are laid out by size, and the first is nearly the same for all seeds.
        n_classes = len(np.unique(y))
        whole = [split for split in splits if len(np.unique(y[split[0]])) == n_classes]
        splits = whole or splits
        return splits[np.random.default_rng(self.seed).integers(len(splits))]

    def _splitter(self, groups):
        if groups is None:
            kind = StratifiedShuffleSplit if self.stratified else ShuffleSplit
            return kind(1, test_size=self.fraction, random_state=self.seed)
        n_groups = len(np.unique(np.asarray(groups)))
        if n_groups < 2:
            raise ValueError("all samples are of one group")
        if not self.stratified:
            return GroupShuffleSplit(1, test_size=self.fraction, random_state=self.seed)
        n_folds = min(n_groups, max(2, round(1 / self.fraction)))
        return StratifiedGroupKFold(n_folds, shuffle=True, random_state=self.seed)
