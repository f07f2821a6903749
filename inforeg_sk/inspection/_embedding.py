"""Features of each encoder in two dimensions, in the style of scikit-learn's displays."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_random_state

from ..data.checks import check_rows_beside
from ..utils.compat import safe_indexing
from ..utils.parameters import Interval, IsNone, Options, check_parameter
from ..utils.suggestions import did_you_mean
from ._axes import make_panels, require_matplotlib, title_panels
from ._style import marker_of
from ._unwrap import method_title, unwrap, with_network

__all__ = ["EmbeddingDisplay"]

_METHODS = {"tsne": "t-SNE", "pca": "PCA"}
# t-SNE's default.
_PERPLEXITY = 30


class EmbeddingDisplay:
    """Features of each encoder, brought to two dimensions: one panel a modality.

    Classes have a colour and a marker each; the target of a regressor is a colour. What t-SNE
    separates need not be what a linear head separates, and distances between its clusters mean
    nothing; see `learned_share` for numbers.

    It is recommended to use `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    embedding : dict of str to array-like of shape (n_samples, 2)
        By modality.
    target : dict of str to array-like of shape (n_samples,)
        Labels or values of the samples of each modality.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order in which they get colours and markers; None: the target is a number,
        and a colour.
    method : str, default=None
        What made two dimensions, for the axes.
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
    points_ : dict of str to dict or PathCollection
        By modality: the PathCollection of each class in a dict, or that of all samples.
    colorbar_ : matplotlib Colorbar or None
        Of a regressor's target.
    legend_ : matplotlib Legend or None
        Of the classes.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import EmbeddingDisplay
    >>> X, y = make_multimodal_classification(90, random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = EmbeddingDisplay.from_estimator(clf, X, y, method="pca")
    >>> display.embedding["weak"].shape
    (90, 2)
    """

    def __init__(self, embedding, target, *, classes=None, method=None, name=None):
        self.embedding = embedding
        self.target = target
        self.classes = classes
        self.method = method
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        method="tsne",
        modalities=None,
        max_samples=1000,
        random_state=0,
        ax=None,
        name=None,
        legend=True,
        **style,
    ):
        """Compute features of each modality, and plot them in two dimensions.

        Parameters
        ----------
        estimator : MultimodalClassifier, MultimodalRegressor, Pipeline, search or EvidencePool
            Fitted; of a pool, the encoders of its network.
        X : as in the estimator's ``fit``
            Preferably samples that the estimator was not fitted on. A panel has those that have its
            modality.
        y : array-like of shape (n_samples,)
            Labels, or values of one output.
        method : {"tsne", "pca"}, default="tsne"
            `sklearn.manifold.TSNE` (of the first 50 principal components, if there are more
            features, with a perplexity of 30, or a third of the samples if these are few), or
            `sklearn.decomposition.PCA`.
        modalities : list of str, default=None
            Which ones, in this order; None: all.
        max_samples : int or None, default=1000
            A random choice of so many at most, the same for all modalities; None takes all.
        random_state : int, RandomState instance or None, default=0
            Of this choice and of t-SNE.
        ax : matplotlib Axes or array of these, default=None
            One for each modality; a single one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the balancing method and its non-default settings.
        legend, **style :
            See `plot`.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator has no network of several encoders.
        ValueError
            If a modality is unknown or fewer than 4 samples have it, or `y` has several outputs.
        """
        owner = f"{cls.__name__}.from_estimator"
        require_matplotlib(owner)
        check_parameter("method", method, [Options(*_METHODS)], owner)
        check_parameter("max_samples", max_samples, [Interval(Integral, 4), IsNone()], owner)
        transformers, fitted = unwrap(with_network(estimator))
        check_rows_beside(X, {"y": y})
        y = np.asarray(y)
        if y.ndim != 1:
            raise ValueError(
                f"The 'y' parameter of {owner} must have the shape (n_samples,): give one output, "
                f"such as y[:, 0]. Got {y.shape}."
            )
        names = _known(modalities, fitted.modalities_, owner)
        for transformer in transformers:
            X = transformer.transform(X)
        features = fitted.transform_by_modality(X)
        rng = check_random_state(random_state)
        rows = np.arange(len(y))
        if max_samples is not None and len(y) > max_samples:
            rows = np.sort(rng.choice(len(y), max_samples, replace=False))
        embedding, target = {}, {}
        seed = rng.randint(2**31 - 1)  # the same for each modality, whichever are drawn
        for m in names:
            found = features[m][rows]
            present = ~np.isnan(found).all(axis=1)
            if present.sum() < 4:
                raise ValueError(
                    f"{owner} needs at least 4 samples of each modality. Got {present.sum()} of "
                    f"{m!r}: leave it out of modalities=."
                )
            embedding[m] = _two_dimensions(found[present], method, seed)
            target[m] = safe_indexing(y, rows[present])
        display = cls(
            embedding,
            target,
            classes=fitted.classes_ if is_classifier(fitted) else None,
            method=_METHODS[method],
            name=method_title(fitted) if name is None else name,
        )
        return display.plot(ax, legend=legend, **style)

    def plot(self, ax=None, *, name=None, legend=True, **style):
        """Plot the samples.

        Parameters
        ----------
        ax : matplotlib Axes or array of these, default=None
            One for each modality; a single one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the one given to the constructor.
        legend : bool, default=True
            Whether to draw the legend or the colour bar.
        **style
            Passed to matplotlib's ``scatter``.

        Returns
        -------
        self : EmbeddingDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If shapes do not match.
        """
        owner = type(self).__name__
        require_matplotlib(f"{owner}.plot")
        embedding, target = self._checked()
        n, alone = len(embedding), ax is None
        columns, given = min(n, 3), np.ndim(ax) > 0
        self.axes_, self.figure_ = make_panels(ax, -(-n // columns), columns, n, (3.6, 3.6), owner)
        self.ax_, self.points_ = self.axes_[0], {}
        for panel, (m, points) in zip(self.axes_, embedding.items(), strict=True):
            draw = self._plot_values if self.classes is None else self._plot_classes
            self.points_[m] = draw(panel, points, target[m], style, target)
            panel.set_title(f"{m} (n = {len(points):,})", fontsize="medium")
            panel.set(xticks=[], yticks=[])
            if self.method is not None:
                panel.set(xlabel=f"{self.method} 1", ylabel=f"{self.method} 2")
        self.colorbar_ = self.legend_ = None
        if legend and self.classes is None:
            points = next(iter(self.points_.values()))
            self.colorbar_ = self.figure_.colorbar(points, ax=self.axes_, label="target")
        elif legend:
            self.legend_ = self._legend(self.axes_[(n if given else columns) - 1])
        title_panels(self.axes_, self.name if name is None else name, alone)
        return self

    def _plot_values(self, ax, points, values, style, target):
        every = np.concatenate(list(target.values())).astype(float)
        look = {"cmap": "viridis", "vmin": every.min(), "vmax": every.max(), "s": 16}
        look.update(edgecolors="0.3", linewidths=0.3)
        return ax.scatter(*points.T, c=values.astype(float), **{**look, **style})

    def _plot_classes(self, ax, points, labels, style, target):
        drawn = {}
        for i, label in enumerate(self.classes):
            look = {"color": f"C{i % 10}", "marker": marker_of(i), "s": 16}
            look.update(edgecolors="0.2", linewidths=0.3, label=str(label))
            drawn[label] = ax.scatter(*points[labels == label].T, **{**look, **style})
        return drawn

    def _legend(self, ax):
        """Beside the panel at the upper right, in columns that are no higher than it."""
        handles = list(self.points_[next(reversed(self.points_))].values())
        return ax.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            borderaxespad=0,
            fontsize="small",
            handletextpad=0.2,
            markerscale=1.5,
            ncols=-(-len(handles) // 12),
        )

    def _checked(self):
        if not isinstance(self.embedding, Mapping) or not self.embedding:
            raise ValueError(
                "embedding must be a dict from modality to an array of shape (n_samples, 2). Got "
                f"{self.embedding!r}."
            )
        if not isinstance(self.target, Mapping) or set(self.target) != set(self.embedding):
            raise ValueError("target must be a dict with the modalities of embedding.")
        embedding = {m: np.asarray(v, float) for m, v in self.embedding.items()}
        target = {m: np.asarray(self.target[m]) for m in embedding}
        for m, points in embedding.items():
            if points.shape != (len(target[m]), 2) or target[m].ndim != 1 or not len(points):
                raise ValueError(
                    f"embedding[{m!r}] must have the shape (n_samples, 2), and target[{m!r}] the "
                    f"shape (n_samples,). Got {points.shape} and {target[m].shape}."
                )
        return embedding, target


def _known(modalities, known, owner):
    if modalities is None:
        return list(known)
    if isinstance(modalities, str) or not list(modalities):
        raise ValueError(
            f"The 'modalities' parameter of {owner} must be None or a list of names. Got "
            f"{modalities!r}."
        )
    for name in modalities:
        if name not in known:
            raise ValueError(
                f"The 'modalities' parameter of {owner} names {name!r}; the modalities are "
                f"{', '.join(map(repr, known))}{did_you_mean(name, known)}"
            )
    return list(modalities)


def _two_dimensions(features, method, seed):
    """Features in two dimensions (ndarray of shape (n_samples, 2))."""
    features = np.asarray(features, dtype=np.float64)
    if features.shape[1] == 1:  # nothing to reduce: PCA would refuse
        features = np.hstack([features, np.zeros_like(features)])
    if method == "pca":
        return PCA(2, random_state=seed).fit_transform(features)
    most = min(len(features), features.shape[1])
    if features.shape[1] > 50:
        features = PCA(min(50, most), random_state=seed).fit_transform(features)
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    reducer = TSNE(2, perplexity=perplexity, init="random", random_state=seed)
    if features.std(axis=0).max() > 0:
        reducer.set_params(init="pca")
    return reducer.fit_transform(features)
