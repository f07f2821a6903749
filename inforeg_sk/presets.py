"""The published settings of InfoReg, as dicts of method settings.

``InfoReg(**presets.PAPER)`` or ``MultimodalInfoRegClassifier(**presets.PAPER_STAR)``; the
authors' code also sets what only the method object has:
``MultimodalClassifier(method=InfoReg(**presets.authors_code(...)))``. They set the method, not
the training: the authors' optimizer is SGD with lr 0.002, momentum 0.9, weight decay 1e-4,
batches of 64, 50 epochs, and a learning rate divided by 10 after 30 of them; the paper states
none. Neither has the network standardize its inputs: ``standardize=False`` of the estimator.
"""

__all__ = ["PAPER", "PAPER_STAR", "authors_code"]

#: InfoReg as the paper states it (Alg. 1; eq. 16: alpha 1, beta 0.9; K = 0.04).
PAPER = {
    "alpha": 1.0,
    "beta": 0.9,
    "window_threshold": 0.04,
    "window_smoothing": 1,
    "unimodal_weight": 0.0,
    "pull": "gradient",
    "padding": "none",
    "first_epoch": "closed",
}

#: InfoReg*: the same with unimodal losses.
PAPER_STAR = {**PAPER, "unimodal_weight": 1.0}


def authors_code(leader, alpha):
    """Settings of the authors' published training loop (November 2025).

    Parameters
    ----------
    leader : str
        The modality whose window decides for all; theirs is audio.
    alpha : dict of str to float
        Strength by modality; theirs is 0.95 for audio and 0.1 for video.

    Returns
    -------
    dict
        Settings for `InfoReg`.

    Examples
    --------
    >>> from inforeg_sk import InfoReg, MultimodalClassifier, presets
    >>> method = InfoReg(**presets.authors_code("audio", {"audio": 0.95, "video": 0.1}))
    >>> clf = MultimodalClassifier(method=method)
    """
    return {
        "alpha": dict(alpha),
        "beta": 1.0,
        "window_threshold": 0.05,
        "window_smoothing": 10,
        "unimodal_weight": 1.0,
        "pull": "gradient",
        "score": "probability_sum",
        "trace": "layers",
        "padding": "zeros",
        "leader": leader,
        "first_epoch": "open",
    }
