"""Synthetic multimodal classification with known strength and redundancy."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from ..data.container import ModalityDict
from ..utils.parameters import (
    Instance,
    Interval,
    InvalidParameterError,
    IsNone,
    check_parameter,
)
from ..utils.suggestions import did_you_mean
from ._arguments import BOOL, COUNT, check_arguments

__all__ = ["make_multimodal_classification"]

_OWNER = "make_multimodal_classification"
_SHARE = Interval(Real, 0, 1, "both")
# `weights` is checked with `n_classes`, on which it depends, and the settings with `modalities`.
_CONSTRAINTS = {
    "n_samples": [COUNT],
    "n_classes": [Interval(Integral, 2)],
    "modalities": [IsNone(), Instance(Mapping, text="a dict from names to settings")],
    "redundancy": [_SHARE],
    "interaction": [_SHARE],
    "flip_y": [_SHARE],
    "shuffle": [BOOL],
    "random_state": [
        IsNone(),
        Interval(Integral, 0),
        Instance(np.random.RandomState, text="a RandomState"),
    ],
}
_SETTINGS = {
    "n_features": [COUNT],
    "strength": [Interval(Real, 0)],
    "redundancy": [_SHARE],
    "interaction": [_SHARE],
    "n_steps": [IsNone(), COUNT],
}
_DEFAULT_MODALITIES = {"strong": {"strength": 3.0}, "weak": {"strength": 1.5}}


def make_multimodal_classification(
    n_samples=200,
    *,
    n_classes=3,
    modalities=None,
    redundancy=0.5,
    interaction=0.0,
    flip_y=0.0,
    weights=None,
    shuffle=True,
    random_state=None,
):
    r"""Generate a multimodal classification problem with known information.

    Each modality shows the class through Gaussian noise. Its strength says how well it shows the
    class, and its redundancy how much of that evidence the others show too. Both are exact, so the
    best accuracy of each modality alone and of all together is known (see Notes). An interaction
    hides a part of the class from every modality alone: only all together tell it, as in XOR.

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples.
    n_classes : int, default=3
        Number of classes, at least 2.
    modalities : mapping of str to mapping, default=None
        Name and settings of each modality. None is
        ``{"strong": {"strength": 3.0}, "weak": {"strength": 1.5}}``. The settings, all optional,
        are

        n_features : int, default=20
            Number of features (per step), at least ``n_classes - 1``, and twice that with an
            interaction.
        strength : float, default=2.0
            Distance between any two class means, in standard deviations of the noise,
            independent of the number of features. 0 is pure noise.
        redundancy : float, default=`redundancy`
            The modality's own `redundancy`.
        interaction : float, default=`interaction`
            The modality's own `interaction`; at 0 it takes no part in it.
        n_steps : int, default=None
            If given, the modality is a sequence of shape ``(n_samples, n_steps, n_features)``.
            Its evidence is spread evenly over the steps, so their mean holds all of it.

    redundancy : float, default=0.5
        Share, in [0, 1], of each modality's noise that is common to all. At 0 the modalities
        are independent given the class and complement each other. At 1 a modality copies the
        evidence of the strongest one, with more noise if it is weaker, and adds nothing.
    interaction : float, default=0.0
        Share, in [0, 1], of each modality's squared strength that shows a hidden digit in place of
        the class. The digits of the modalities that take part add up to the class, modulo
        `n_classes` (with two classes and two modalities: XOR), and are otherwise random, so all
        but one of these modalities tell nothing about the class by their digits. At 0 there are no
        digits; at 1 there is nothing else. At least two modalities must take part.
    flip_y : float, default=0.0
        Share of the samples whose class is drawn at random after the features are made.
    weights : array-like of shape (n_classes,), default=None
        Proportions of the classes, which must sum to 1. If None, the classes are balanced.
    shuffle : bool, default=True
        Whether the samples are in random order. If False they are sorted by class.
    random_state : int, RandomState instance or None, default=None
        Determines the data. Pass an int for reproducible output across calls.

    Returns
    -------
    X : ModalityDict
        The modalities, float64 arrays of shape ``(n_samples, n_features)`` or
        ``(n_samples, n_steps, n_features)``.
    y : ndarray of shape (n_samples,), int64
        The classes, ``0`` to ``n_classes - 1``.

    Raises
    ------
    TypeError
        If an argument or a setting has the wrong type.
    ValueError
        If an argument or a setting is out of its range, a setting is unknown, or one modality
        only takes part in the interaction.

    Notes
    -----
    The class means are the vertices of a regular simplex whose edge is the strength, in a
    subspace of ``n_classes - 1`` dimensions that is drawn for each modality. All other
    directions are noise of the same variance. Without interaction a linear classifier is optimal.

    Together, modalities of strengths :math:`s` are equivalent to one modality of strength
    :math:`d`, :math:`d^2 = s^T C^{-1} s`, where the noise of modalities :math:`i` and :math:`j`
    has the correlation

    .. math:: C_{ij} = \sqrt{r_i r_j} \; \min(s_i, s_j) / \max(s_i, s_j)

    with redundancies :math:`r`. The last factor makes a weaker modality a degraded copy; without
    it, the difference from the stronger modality would reveal the class. With two balanced
    classes, the best accuracy at strength :math:`s` is :math:`\Phi(s / 2)`.

    With an interaction :math:`q`, all this holds of the strengths :math:`s \sqrt{1 - q}`. A digit
    shows by itself, with strength :math:`s \sqrt{q}` and noise of its own, in further
    ``n_classes - 1`` directions. A model that adds up what the modalities say, each by any
    function of its own, has its best log-loss where it ignores them. With two balanced classes, the
    digits alone allow an accuracy of
    :math:`\frac{1}{2} + \frac{1}{2} \prod_m (2 \Phi(s_m \sqrt{q_m} / 2) - 1)`, the product over
    the modalities that take part; at :math:`q = 1` nothing allows more.

    References
    ----------
    .. [1] T. M. Cover and J. A. Thomas (2006). "Elements of Information Theory", 2nd edition,
       section 2.8: the data-processing inequality, by which a degraded copy adds nothing.

    Examples
    --------
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(
    ...     100,
    ...     modalities={
    ...         "image": {"n_features": 30, "strength": 4.0},
    ...         "sound": {"n_features": 8, "strength": 1.0, "n_steps": 12},
    ...     },
    ...     redundancy=0.2,
    ...     random_state=0,
    ... )
    >>> X
    ModalityDict(100 samples: image (30,), sound (12, 8))
    >>> y.shape
    (100,)

    A problem that no single modality tells anything about:

    >>> X, y = make_multimodal_classification(100, n_classes=2, interaction=1, random_state=0)
    """
    check_arguments(
        _OWNER,
        _CONSTRAINTS,
        n_samples=n_samples,
        n_classes=n_classes,
        modalities=modalities,
        redundancy=redundancy,
        interaction=interaction,
        flip_y=flip_y,
        shuffle=shuffle,
        random_state=random_state,
    )
    n_samples, n_classes = int(n_samples), int(n_classes)
    settings = _complete_settings(modalities, n_classes, redundancy, interaction)
    counts = _class_counts(n_samples, n_classes, weights)
    rng = check_random_state(random_state)

    y = np.repeat(np.arange(n_classes, dtype=np.int64), counts)
    if shuffle:
        y = rng.permutation(y)
    evidence = _evidence(rng, y, n_classes, settings)
    for name, digits in _hidden_digits(rng, y, n_classes, settings).items():
        evidence[name] = np.hstack([evidence[name], digits])
    X = ModalityDict({name: _embed(rng, evidence[name], **settings[name]) for name in settings})
    flipped = rng.uniform(size=n_samples) < flip_y
    y[flipped] = rng.randint(n_classes, size=flipped.sum())
    return X, y


def _evidence(rng, y, n_classes, settings):
    """Draw the evidence of each modality, of shape (n_samples, n_classes - 1)."""
    means = _simplex(n_classes)[y]
    evidence = {}
    common, last = None, None
    # From strong to weak, each modality adds noise to the one before: scaled by the strength, the
    # common noise is a random walk in 1 / strength**2, so a weaker modality adds no information.
    strengths = {
        name: given["strength"] * np.sqrt(1 - given["interaction"])
        for name, given in settings.items()
    }
    for name in sorted(settings, key=lambda name: -strengths[name]):
        strength, share = strengths[name], settings[name]["redundancy"]
        fresh, own = rng.standard_normal((2, *means.shape))
        if common is None:
            common = fresh
        else:
            kept = strength / last if last > 0 else 1.0
            common = kept * common + np.sqrt(1 - kept**2) * fresh
        last = strength
        noise = np.sqrt(share) * common + np.sqrt(1 - share) * own
        evidence[name] = strength * means + noise
    return evidence


def _hidden_digits(rng, y, n_classes, settings):
    """Draw how the modalities of the interaction show their digits, shaped as their evidence."""
    names = [name for name, given in settings.items() if given["interaction"] > 0]
    if not names:
        return {}
    digits = rng.randint(n_classes, size=(len(names), len(y)))
    digits[-1] = (y - digits[:-1].sum(axis=0)) % n_classes
    shown = {}
    for name, digit in zip(names, digits, strict=True):
        means = _simplex(n_classes)[digit]
        strength = settings[name]["strength"] * np.sqrt(settings[name]["interaction"])
        shown[name] = strength * means + rng.standard_normal(means.shape)
    return shown


def _simplex(n_classes):
    """Return n_classes points in n_classes - 1 dimensions, all at distance 1 from each other."""
    points = np.zeros((n_classes, n_classes - 1))
    for k in range(1, n_classes):
        # Point k is above the centre of the points before it, at distance 1 from each.
        points[k] = points[:k].mean(axis=0)
        radius2 = ((points[0] - points[k]) ** 2).sum()
        points[k, k - 1] = np.sqrt(1 - radius2)
    return points - points.mean(axis=0)


def _embed(rng, evidence, n_features, n_steps, **_):
    """Hide the evidence in white noise, in random directions and evenly over the steps."""
    n_samples, n_directions = evidence.shape
    steps = 1 if n_steps is None else n_steps
    X = rng.standard_normal((n_samples, steps, n_features))
    basis, triangle = np.linalg.qr(rng.standard_normal((n_features, n_directions)))
    basis *= np.sign(np.diag(triangle))  # LAPACK builds differ in the signs
    drawn = X.sum(axis=1) @ basis / np.sqrt(steps)
    X += ((evidence - drawn) @ basis.T / np.sqrt(steps))[:, np.newaxis, :]
    return X[:, 0] if n_steps is None else X


def _class_counts(n_samples, n_classes, weights):
    """Return the number of samples of each class, less than one off its exact share."""
    if weights is None:
        weights = np.full(n_classes, 1 / n_classes)
    else:
        error = InvalidParameterError(
            f"The 'weights' parameter of {_OWNER} must be None or {n_classes} numbers that are not "
            f"negative and sum to 1. Got {weights!r}."
        )
        try:
            weights = np.asarray(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise error from None
        if weights.shape != (n_classes,) or not (
            (weights >= 0).all() and np.isclose(weights.sum(), 1)
        ):
            raise error
    exact = weights / weights.sum() * n_samples
    counts = np.floor(exact).astype(int)
    most_missed = np.argsort(counts - exact, kind="stable")[: n_samples - counts.sum()]
    counts[most_missed] += 1
    return counts


def _complete_settings(modalities, n_classes, redundancy, interaction):
    """Return the settings of each modality, complete and checked."""
    if modalities is None:
        modalities = _DEFAULT_MODALITIES
    if not modalities:
        raise InvalidParameterError(
            f"The 'modalities' parameter of {_OWNER} must have at least one modality. Got "
            f"{modalities!r}."
        )
    defaults = {
        "n_features": 20,
        "strength": 2.0,
        "redundancy": redundancy,
        "interaction": interaction,
        "n_steps": None,
    }
    complete = {}
    for name, given in modalities.items():
        where = f"modalities[{name!r}]"
        check_parameter(where, given, [Instance(Mapping, text="a dict of settings")], _OWNER)
        for key in given:
            if key not in _SETTINGS:
                raise InvalidParameterError(
                    f"The '{where}' parameter of {_OWNER} must have settings among "
                    f"{', '.join(map(repr, _SETTINGS))}. Got {key!r}"
                    f"{did_you_mean(key, _SETTINGS) or '.'}"
                )
        settings = {**defaults, **given}
        for key, value in settings.items():
            check_parameter(f"{where}[{key!r}]", value, _SETTINGS[key], _OWNER)
        n_features, n_steps = settings["n_features"], settings["n_steps"]
        takes_part = settings["interaction"] > 0
        if n_features < (n_classes - 1) * (1 + takes_part):
            setting = f"{where}['n_features']"
            least = f"n_classes - 1 = {n_classes - 1}"
            digits = ""
            if takes_part:
                least = f"2 * (n_classes - 1) = {2 * (n_classes - 1)}"
                digits = ", and as many digits of the interaction"
            raise InvalidParameterError(
                f"The '{setting}' parameter of {_OWNER} must be at least {least}, to hold "
                f"{n_classes} class means at equal distances{digits}. Got {n_features!r}."
            )
        complete[name] = {
            "n_features": int(n_features),
            "strength": float(settings["strength"]),
            "redundancy": float(settings["redundancy"]),
            "interaction": float(settings["interaction"]),
            "n_steps": None if n_steps is None else int(n_steps),
        }
    taking_part = [name for name, given in complete.items() if given["interaction"] > 0]
    if len(taking_part) == 1:
        raise InvalidParameterError(
            f"The 'interaction' parameter of {_OWNER} must be 0 for all modalities or above 0 for "
            f"at least two. Got one only, {taking_part[0]!r}, which would tell its digit alone."
        )
    return complete
