"""How alike the gradients of batches are: numbers, and their display."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state

from ..data.batches import ModalitySubset
from ..data.checks import check_rows_beside
from ..methods.losses import weighted_criterion
from ..network.modes import evaluating, evaluating_with_gradients
from ..network.parameters import encoder_parameters
from ..utils.parameters import Interval, IsNone, check_parameter
from ._axes import make_panels, require_matplotlib, title_panels
from ._unwrap import method_title, unwrap, with_network

__all__ = ["GradientSimilarityDisplay", "gradient_similarity"]

# Parameters whose gradients are in double precision at a time.
_BLOCK = 2**20


def gradient_similarity(
    estimator, X, y, *, n_batches=12, batch_size=None, sample_weight=None, random_state=None
):
    """Cosine similarity of the gradients that batches give each encoder.

    The gradients are of the joint loss, at the weights of the fit, in evaluation mode. Where they
    point the same way (1), batches teach an encoder the same; around 0 they teach noise, which is
    how an encoder ends that has nothing more to learn from the joint loss.

    Parameters
    ----------
    estimator : MultimodalClassifier, MultimodalRegressor, Pipeline, search or EvidencePool
        Fitted; of a pool, its network is measured. Nothing of it changes: neither weights and their
        ``grad``, nor modes, nor any random state.
    X, y : as in ``fit``
        Such as the training data.
    n_batches : int, default=12
        At least 2. No sample is in two batches.
    batch_size : int or None, default=None
        The similarity grows with it. None: the estimator's own, or less where `X` has too few
        samples.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights in the loss of each batch.
    random_state : int, RandomState instance or None, default=None
        Draws the batches. None takes the first samples in their order.

    Returns
    -------
    sklearn.utils.Bunch
        ``modalities`` (tuple of str); ``similarity``, ndarray of shape (n_modalities, n_batches,
        n_batches); ``mean``, ndarray of shape (n_modalities,) of its means off the diagonal;
        ``norm``, ndarray of shape (n_modalities, n_batches) of the norms of the gradients;
        ``batch_size`` (int). A gradient of 0, such as of a frozen encoder, has a similarity of NaN,
        which the means leave out.

    Raises
    ------
    TypeError
        If the estimator has no network of several encoders.
    ValueError
        If there are too few samples, or a parameter is out of range.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import gradient_similarity
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> found = gradient_similarity(clf, X, y, n_batches=4, random_state=0)
    >>> found.modalities, found.similarity.shape
    (('strong', 'weak'), (2, 4, 4))
    """
    owner = "gradient_similarity"
    check_parameter("n_batches", n_batches, [Interval(Integral, 2)], owner)
    check_parameter("batch_size", batch_size, [Interval(Integral, 1), IsNone()], owner)
    transformers, fitted = unwrap(with_network(estimator))
    check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
    for transformer in transformers:
        X = transformer.transform(X)
    dataset = fitted.get_dataset(X, y)
    batches = _batches(len(dataset), n_batches, batch_size, fitted.batch_size, random_state)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
    names = tuple(fitted.modalities_)
    parameters = encoder_parameters(fitted.module_.encoders)
    found, norms = {name: [] for name in names}, {name: [] for name in names}
    with evaluating_with_gradients(fitted.module_), evaluating(fitted.criterion_):
        for rows in batches:
            own = None if weight is None else weight[rows]
            gradients = _gradients(fitted, ModalitySubset(dataset, rows), own, parameters)
            for name in names:
                norm = torch.linalg.vector_norm(gradients[name], dtype=torch.float64)
                found[name].append(gradients[name])
                norms[name].append(norm.item())
    similarity = np.stack([_similarity(found[name], norms[name]) for name in names])
    return Bunch(
        modalities=names,
        similarity=similarity,
        mean=np.array([mean_off_diagonal(matrix) for matrix in similarity]),
        norm=np.array([norms[name] for name in names]),
        batch_size=len(batches[0]),
    )


def _batches(n_samples, n_batches, batch_size, usual, random_state):
    """Rows of each batch."""
    if batch_size is None:
        batch_size = n_samples // n_batches
        batch_size = batch_size if usual == -1 else min(usual, batch_size)
    if batch_size < 1 or n_batches * batch_size > n_samples:
        raise ValueError(
            "The 'n_batches' parameter of gradient_similarity must leave each batch "
            f"{max(batch_size, 1)} of the {n_samples} samples. Got {n_batches}."
        )
    rows = np.arange(n_samples)
    if random_state is not None:
        rows = check_random_state(random_state).permutation(n_samples)
    return np.split(rows[: n_batches * batch_size], n_batches)


def _gradients(fitted, part, weight, parameters):
    """Gradient of the joint loss of some samples in each encoder (dict of str to flat Tensor)."""
    batch, target = part.__getitems__(range(len(part)))
    flat = list({id(p): p for found in parameters.values() for p in found.trainable}.values())
    with torch.enable_grad():
        logits = fitted.infer(batch).logits
        if weight is not None:
            weight = torch.as_tensor(weight, dtype=logits.dtype, device=logits.device)
        target = target.to(logits.device)
        loss = weighted_criterion(fitted.criterion_, logits, target, weight)
        found = torch.autograd.grad(loss, flat, allow_unused=True) if flat else ()
    gradient = {
        id(p): torch.zeros_like(p) if g is None else g for p, g in zip(flat, found, strict=True)
    }
    return {
        # On the CPU, where there is room for those of all batches.
        name: torch.cat([gradient[id(p)].flatten().cpu() for p in own.trainable])
        if own.trainable
        else torch.zeros(1)
        for name, own in parameters.items()
    }


def _similarity(gradients, norms):
    """Cosines of gradients, in double precision block by block; NaN of a gradient of 0."""
    products = np.zeros((len(gradients), len(gradients)))
    for start in range(0, len(gradients[0]), _BLOCK):
        block = torch.stack([g[start : start + _BLOCK] for g in gradients]).double()
        products += (block @ block.T).numpy()
    with np.errstate(invalid="ignore"):
        cosines = (products / np.outer(norms, norms)).clip(-1, 1)
    np.fill_diagonal(cosines, np.where(np.array(norms) > 0, 1.0, np.nan))
    return cosines


def mean_off_diagonal(matrix):
    """Mean of what is known off the diagonal of a square matrix (float)."""
    values = matrix[~np.eye(len(matrix), dtype=bool)]
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


class GradientSimilarityDisplay:
    """Cosine similarity of the gradients of batches, a matrix for each encoder.

    It is recommended to use `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    similarity : dict of str to array-like of shape (n_batches, n_batches)
        By modality; see `gradient_similarity`.
    batch_size : int, default=None
        Samples in each batch.
    name : str, default=None
        Title of the figure, or of the axes if there is one.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        One for each modality.
    ax_ : matplotlib Axes
        The first of these.
    figure_ : matplotlib Figure
        Figure with the axes.
    images_ : dict of str to matplotlib AxesImage
        Matrix of each modality, from -1 (black) to 1 (white); what is not known is hatched.
    colorbar_ : matplotlib Colorbar

    See Also
    --------
    gradient_similarity : The numbers.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import GradientSimilarityDisplay
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = GradientSimilarityDisplay.from_estimator(clf, X, y, random_state=0)
    >>> list(display.images_)
    ['strong', 'weak']
    """

    def __init__(self, similarity, *, batch_size=None, name=None):
        self.similarity = similarity
        self.batch_size = batch_size
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        n_batches=12,
        batch_size=None,
        sample_weight=None,
        random_state=None,
        ax=None,
        name=None,
        **style,
    ):
        """Measure the similarity of gradients, and plot it.

        Parameters
        ----------
        estimator, X, y, n_batches, batch_size, sample_weight, random_state :
            See `gradient_similarity`.
        ax : matplotlib Axes or array of these, default=None
            One for each modality; a single one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the balancing method and its non-default settings.
        **style
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        GradientSimilarityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            See `gradient_similarity`.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        found = gradient_similarity(
            estimator,
            X,
            y,
            n_batches=n_batches,
            batch_size=batch_size,
            sample_weight=sample_weight,
            random_state=random_state,
        )
        name = method_title(unwrap(with_network(estimator))[1]) if name is None else name
        matrices = dict(zip(found.modalities, found.similarity, strict=True))
        return cls(matrices, batch_size=found.batch_size, name=name).plot(ax, **style)

    def plot(self, ax=None, *, name=None, **style):
        """Plot the matrices.

        Parameters
        ----------
        ax : matplotlib Axes or array of these, default=None
            One for each modality; a single one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the one given to the constructor.
        **style
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        self : GradientSimilarityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no matrix, or one is not square.
        """
        owner = type(self).__name__
        require_matplotlib(f"{owner}.plot")
        from matplotlib.ticker import MaxNLocator

        matrices = self._checked()
        n, alone = len(matrices), ax is None
        columns = min(n, 4)
        rows = -(-n // columns)
        self.axes_, self.figure_ = make_panels(ax, rows, columns, n, (3.2, 3.4), owner)
        self.ax_, self.images_ = self.axes_[0], {}
        of = "" if self.batch_size is None else f" (n = {self.batch_size:,})"
        for i, (modality, matrix) in enumerate(matrices.items()):
            panel = self.axes_[i]
            look = {"cmap": "gray", "vmin": -1, "vmax": 1, **style}
            panel.patch.set(facecolor="0.85", hatch="xxx", edgecolor="0.6")
            self.images_[modality] = panel.imshow(matrix, **look)
            panel.set_title(
                f"{modality}\nmean {round(mean_off_diagonal(matrix), 2) + 0.0:.2f}",
                fontsize="medium",
            )
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
            if i + columns >= n:
                panel.set_xlabel(f"batch{of}")
            if i % columns == 0:
                panel.set_ylabel("batch")
        self.colorbar_ = self.figure_.colorbar(
            self.images_[next(iter(matrices))], ax=self.axes_, label="cosine similarity"
        )
        title_panels(self.axes_, self.name if name is None else name, alone)
        return self

    def _checked(self):
        if not isinstance(self.similarity, Mapping) or not self.similarity:
            raise ValueError(
                "similarity must be a dict from modality to a square matrix. Got "
                f"{self.similarity!r}."
            )
        matrices = {m: np.asarray(v, float) for m, v in self.similarity.items()}
        for modality, matrix in matrices.items():
            if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
                raise ValueError(
                    f"similarity[{modality!r}] must be a square matrix. Got the shape "
                    f"{matrix.shape}."
                )
        return matrices
