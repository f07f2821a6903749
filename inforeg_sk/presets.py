"""The published settings of methods, as parameters of a classifier.

``MultimodalInfoRegClassifier(**presets.PAPER)`` or ``MultimodalClassifier("inforeg",
**presets.PAPER_STAR)``; for a method object take ``InfoReg(**presets.method_settings(
presets.PAPER))``. Besides the method (``method__...``) they switch off what the published
networks do not have: standardized inputs and the offset by the class prior. They do not set the
training: the authors' optimizer is SGD with lr 0.002, momentum 0.9, weight decay 1e-4, batches of
64, 50 epochs, and a learning rate divided by 10 after 30 of them; the paper states none.

The settings of other methods, such as ``OGM_GE``, are those of their authors' code; a comment at
each says how it trains.
"""

__all__ = [
    "AGM",
    "DGL",
    "DIAGNOSING_RELEARNING",
    "GREEDY",
    "G_BLENDING",
    "MMPARETO",
    "OGM_GE",
    "PAPER",
    "PAPER_STAR",
    "PMR",
    "TCMAX",
    "authors_code",
    "method_settings",
]

#: What the published networks do not have.
_NETWORK = {"prior_offset": False, "standardize": False}

#: InfoReg as the paper states it (Alg. 1; eq. 16: alpha 1, beta 0.9; K = 0.04).
PAPER = {
    "method__alpha": 1.0,
    "method__beta": 0.9,
    "method__window_threshold": 0.04,
    "method__window_smoothing": 1,
    "method__unimodal_weight": 0.0,
    "method__pull": "gradient",
    "method__padding": "none",
    "method__first_epoch": "closed",
    **_NETWORK,
}

#: InfoReg*: the same with unimodal losses.
PAPER_STAR = {**PAPER, "method__unimodal_weight": 1.0}

#: OGM-GE as its authors' code has it, with the alpha that they advise for CREMA-D (0.1 is the
#: default of the code, for VGGSound). It acts in the first 51 of 100 epochs. They train by SGD with
#: lr 1e-3, momentum 0.9, weight decay 1e-4, batches of 64, 100 epochs, and a learning rate divided
#: by 10 after 70 of them.
OGM_GE = {
    "method__alpha": 0.8,
    "method__noise": True,
    "method__layers": "convolutions",
    "active": range(51),
    **_NETWORK,
}

#: MMPareto as its authors' code has it, for all epochs. They train by SGD with lr 2e-3, momentum
#: 0.9, weight decay 1e-4, batches of 64, 50 epochs and a constant learning rate: the scheduler that
#: their code makes never steps.
MMPARETO = {
    "method__gamma": 1.5,
    "method__pareto": True,
    "method__rescale": "tensor",
    **_NETWORK,
}

#: AGM as its authors' code has it for CREMA-D, with the default alpha; the alphas of their tables
#: are not published. It acts in the first 20 epochs. They train by SGD with momentum 0.9, weight
#: decay 1e-4, batches of 64, 100 epochs, and a learning rate (1e-4 in their example) divided by 10
#: after 70 of them.
AGM = {
    "method__alpha": 1.0,
    "method__cap": 10.0,
    "method__clip": 1.0,
    "method__zero": "inputs",
    "active": range(20),
    **_NETWORK,
}
#: DGL as in the authors' script ``main_dgl.py``.
DGL = {"method__strength": 4.0, "method__max_norm": 40.0, **_NETWORK}

#: Greedy with the values of the authors' code, in our adaptation to features. Their optimizer is
#: SGD with lr 0.1, without momentum or weight decay, batches of 8, 300 epochs, a learning rate
#: multiplied by 0.3 after 10 epochs without progress.
GREEDY = {
    "method__threshold": 0.01,
    "method__n_rebalancing": 5,
    "method__start_epoch": 2,
    **_NETWORK,
}

#: TCMax, which has no settings of its own.
TCMAX = {**_NETWORK}
#: PMR as its authors' code has it, with the settings of most of their commands (alpha 2 on CREMA-D
#: and AVE by concatenation, 1 on CG-MNIST; no momentum, though its default is 0.2). It acts in the
#: first 71 epochs. They train by SGD with lr 1e-3, momentum 0.9, weight decay 1e-4, batches of 64,
#: 100 to 150 epochs, and a learning rate divided by 10 after 70 of them.
PMR = {
    "method__alpha": 2.0,
    "method__momentum": 0.0,
    "method__share": 0.1,
    "method__hard": True,
    "active": range(71),
    **_NETWORK,
}

#: G-Blending with the weights that its authors print for Kinetics with R3D-50, for modalities named
#: "audio" and "video". How they estimated them, and how they trained, is not in their code.
G_BLENDING = {
    "method__weights": {"audio": 0.014, "video": 0.630, "joint": 0.356},
    **_NETWORK,
}

#: D&R as its authors' code has it. How they trained was not looked up.
DIAGNOSING_RELEARNING = {
    "method__every": 20,
    "method__times": 3,
    "method__strength": 3.0,
    **_NETWORK,
}


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
        Parameters of `MultimodalInfoRegClassifier`, or of `MultimodalClassifier` with
        ``method="inforeg"``.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier, presets
    >>> settings = presets.authors_code("audio", {"audio": 0.95, "video": 0.1})
    >>> clf = MultimodalClassifier("inforeg", **settings)
    """
    return {
        "method__alpha": dict(alpha),
        "method__beta": 1.0,
        "method__window_threshold": 0.05,
        "method__window_smoothing": 10,
        "method__unimodal_weight": 1.0,
        "method__pull": "gradient",
        "method__score": "probability_sum",
        "method__trace": "layers",
        "method__padding": "zeros",
        "method__leader": leader,
        "method__first_epoch": "open",
        **_NETWORK,
    }


def method_settings(preset):
    """The method's own settings in a preset, such as a regressor or a method object takes.

    Parameters
    ----------
    preset : dict
        `PAPER`, `PAPER_STAR`, another one of this module, or what `authors_code` returns.

    Returns
    -------
    dict
        Settings for `InfoReg`, or for the method of the preset.

    Examples
    --------
    >>> from inforeg_sk import InfoReg, presets
    >>> InfoReg(**presets.method_settings(presets.PAPER)).pull
    'gradient'
    """
    part = "method__"
    return {key.removeprefix(part): v for key, v in preset.items() if key.startswith(part)}
