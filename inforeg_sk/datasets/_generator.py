"""Synthetic multimodal classification with known strength and redundancy."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from ..container import ModalityDict

__all__ = ["make_multimodal_classification"]

_DEFAULT_MODALITIES = {"strong": {"strength": 3.0}, "weak": {"strength": 1.5}}
_SETTINGS = ("n_features", "strength", "redundancy", "n_steps")


def make_multimodal_classification(
    n_samples=200,
    *,
    n_classes=3,
    modalities=None,
    redundancy=0.5,
    flip_y=0.0,
    weights=None,
    shuffle=True,
    random_state=None,
):
    r"""Generate a multimodal classification problem with known information.

    Each modality shows the class through Gaussian noise. How well it shows it is its strength,
    how much of that evidence the others show too is its redundancy. Both are set exactly, so
    that the best accuracy of each modality, alone and together, is known (see Notes).

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples.
    n_classes : int, default=3
        Number of classes, at least 2.
    modalities : mapping of str to mapping, default=None
        Name to settings of each modality. None stands for
        ``{"strong": {"strength": 3.0}, "weak": {"strength": 1.5}}``. The settings, all of them
        optional, are

        n_features : int, default=20
            Number of features (of each step), at least ``n_classes - 1``.
        strength : float, default=2.0
            Distance between any two class means, in standard deviations of the noise, whatever
            the number of features. 0 is pure noise.
        redundancy : float, default=`redundancy`
            The modality's own `redundancy`.
        n_steps : int, default=None
            If given, the modality is a sequence of shape ``(n_samples, n_steps, n_features)``.
            Its evidence lies evenly over the steps: their mean holds all of it.

    redundancy : float, default=0.5
        Share, in [0, 1], of each modality's noise that is common to all. At 0 the modalities
        are independent given the class and complement each other. At 1 a modality is a copy of
        the strongest one's evidence, with more noise if it is weaker: it adds nothing.
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
        If a parameter or a setting has the wrong type.
    ValueError
        If a parameter or a setting is out of its range, or a setting is unknown.

    Notes
    -----
    The class means are the vertices of a regular simplex whose edge is the strength, in a
    subspace of ``n_classes - 1`` dimensions that is drawn for each modality. All other
    directions are noise of the same variance. A linear classifier is optimal.

    Together, modalities of strengths :math:`s` are worth one modality of the strength
    :math:`d`, :math:`d^2 = s^T C^{-1} s`, where the noise of modalities :math:`i` and :math:`j`
    has the correlation

    .. math:: C_{ij} = \sqrt{r_i r_j} \; \min(s_i, s_j) / \max(s_i, s_j)

    with redundancies :math:`r`. The last factor is what makes a weaker modality a degraded copy
    rather than one whose difference from the stronger would give the class away. With two
    balanced classes, the best accuracy at strength :math:`s` is :math:`\Phi(s / 2)`.

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
    """
    n_samples = _integer("n_samples", n_samples, 1)
    n_classes = _integer("n_classes", n_classes, 2)
    redundancy = _real("redundancy", redundancy, 0, 1)
    flip_y = _real("flip_y", flip_y, 0, 1)
    settings = _check_modalities(modalities, n_classes, redundancy)
    counts = _class_counts(n_samples, n_classes, weights)
    if not isinstance(shuffle, (bool, np.bool_)):
        raise TypeError(f"shuffle must be True or False; got {shuffle!r}.")
    rng = check_random_state(random_state)

    y = np.repeat(np.arange(n_classes, dtype=np.int64), counts)
    if shuffle:
        y = rng.permutation(y)
    evidence = _evidence(rng, y, n_classes, settings)
    X = ModalityDict({name: _embed(rng, evidence[name], **settings[name]) for name in settings})
    flipped = rng.uniform(size=n_samples) < flip_y
    y[flipped] = rng.randint(n_classes, size=flipped.sum())
    return X, y


def _evidence(rng, y, n_classes, settings):
    """Draw what each modality shows of the class, of shape (n_samples, n_classes - 1)."""
    means = _simplex(n_classes)[y]
    evidence = {}
    common, last = None, None
    # From strong to weak, each step adding noise to the one before: scaled by the strength, the
    # common noise is a walk in 1 / strength**2, so a weaker modality knows nothing of its own.
    for name in sorted(settings, key=lambda name: -settings[name]["strength"]):
        strength, share = settings[name]["strength"], settings[name]["redundancy"]
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


def _simplex(n_classes):
    """Return n_classes points of n_classes - 1 dimensions, all at distance 1 of each other."""
    points = np.zeros((n_classes, n_classes - 1))
    for k in range(1, n_classes):
        # Point k stands above the centre of the points before it, at distance 1 of each.
        points[k] = points[:k].mean(axis=0)
        radius2 = ((points[0] - points[k]) ** 2).sum()
        points[k, k - 1] = np.sqrt(1 - radius2)
    return points - points.mean(axis=0)


def _embed(rng, evidence, n_features, n_steps, **_):
    """Hide the evidence in white noise, along random directions and evenly over the steps."""
    n_samples, n_directions = evidence.shape
    steps = 1 if n_steps is None else n_steps
    X = rng.standard_normal((n_samples, steps, n_features))
    basis, triangle = np.linalg.qr(rng.standard_normal((n_features, n_directions)))
    basis *= np.sign(np.diag(triangle))  # LAPACK builds differ in the signs
    there = X.sum(axis=1) @ basis / np.sqrt(steps)
    X += ((evidence - there) @ basis.T / np.sqrt(steps))[:, np.newaxis, :]
    return X[:, 0] if n_steps is None else X


def _class_counts(n_samples, n_classes, weights):
    """Return the numbers of samples of the classes, within one of the proportions."""
    if weights is None:
        weights = np.full(n_classes, 1 / n_classes)
    else:
        wanted = f"weights must be None or {n_classes} non-negative numbers that sum to 1"
        try:
            weights = np.asarray(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{wanted}; got {weights!r}.") from None
        if weights.shape != (n_classes,) or not (
            (weights >= 0).all() and np.isclose(weights.sum(), 1)
        ):
            raise ValueError(f"{wanted}; got {weights.tolist()!r}.")
    exact = weights / weights.sum() * n_samples
    counts = np.floor(exact).astype(int)
    most_missed = np.argsort(counts - exact, kind="stable")[: n_samples - counts.sum()]
    counts[most_missed] += 1
    return counts


def _check_modalities(modalities, n_classes, redundancy):
    """Return the settings of each modality, complete and valid."""
    if modalities is None:
        modalities = _DEFAULT_MODALITIES
    if not isinstance(modalities, Mapping):
        raise TypeError(
            "modalities must be None or a mapping from names to settings, such as "
            f"{{'image': {{'strength': 2.0}}}}; got {type(modalities).__name__}."
        )
    if not modalities:
        raise ValueError("modalities is empty; at least one modality is needed.")
    checked = {}
    for name, given in modalities.items():
        where = f"modalities[{name!r}]"
        if not isinstance(given, Mapping):
            raise TypeError(
                f"{where} must be a mapping with any of {', '.join(_SETTINGS)}; got {given!r}."
            )
        unknown = [key for key in given if key not in _SETTINGS]
        if unknown:
            raise ValueError(
                f"{where} has the unknown setting {unknown[0]!r}; accepted are "
                f"{', '.join(_SETTINGS)}."
            )
        n_steps = given.get("n_steps")
        checked[name] = {
            "n_features": _integer(f"{where}['n_features']", given.get("n_features", 20), 1),
            "strength": _real(f"{where}['strength']", given.get("strength", 2.0), 0),
            "redundancy": _real(
                f"{where}['redundancy']", given.get("redundancy", redundancy), 0, 1
            ),
            "n_steps": None if n_steps is None else _integer(f"{where}['n_steps']", n_steps, 1),
        }
        if checked[name]["n_features"] < n_classes - 1:
            raise ValueError(
                f"{where}['n_features'] must be at least n_classes - 1 = {n_classes - 1}, to "
                f"hold {n_classes} class means at equal distances; got "
                f"{checked[name]['n_features']}."
            )
    return checked


def _integer(name, value, low):
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int of at least {low}; got {value!r}.")
    if value < low:
        raise ValueError(f"{name} must be an int of at least {low}; got {value!r}.")
    return int(value)


def _real(name, value, low, high=None):
    wanted = f"a number of at least {low}" if high is None else f"a number in [{low}, {high}]"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {wanted}; got {value!r}.")
    if not (np.isfinite(value) and value >= low and (high is None or value <= high)):
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")
    return float(value)
