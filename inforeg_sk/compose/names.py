"""Parameters of transformers by the names of their modalities."""

__all__ = ["check_names", "set_by_name"]


def check_names(transformers, own):
    """Raise if the name of a modality reads as another parameter.

    Parameters
    ----------
    transformers : mapping of str to transformer
    own : mapping or collection of str
        Names of ModalityTransformer's parameters.
    """
    clash = [name for name in transformers if name in own]
    if clash:
        raise ValueError(
            f"The 'transformers' parameter of ModalityTransformer names the modality {clash[0]!r}, "
            f"which is also a parameter of ModalityTransformer, so that set_params({clash[0]}=...) "
            "would have two meanings. Give the modality another name; or give one transformer "
            "instead of a dict."
        )
    for name in transformers:
        part, setting = _split(name, [other for other in transformers if other != name])
        if part is not None and setting in _settings(transformers[part]):
            raise ValueError(
                f"The 'transformers' parameter of ModalityTransformer names the modality {name!r}, "
                f"which is also the parameter {setting!r} of the transformer of {part!r}. Give the "
                "modality another name."
            )


def set_by_name(transformers, params):
    """Replace transformers, and set parameters of theirs.

    Parameters
    ----------
    transformers : mapping of str to transformer
        Left as it is, unlike its transformers.
    params : dict
        By name of a modality, or ``name__parameter``.

    Returns
    -------
    transformers : mapping of str to transformer
        A new dict where one was replaced.
    rest : dict
        The other parameters.
    """
    replaced = {key: value for key, value in params.items() if key in transformers}
    if replaced:
        transformers = {**transformers, **replaced}
    nested, rest = {}, {}
    for key, value in params.items():
        if key in replaced:
            continue
        name, setting = _split(key, transformers)
        if name is None:
            rest[key] = value
        elif hasattr(transformers[name], "set_params"):
            nested.setdefault(name, {})[setting] = value
        else:
            raise ValueError(
                f"Invalid parameter {key!r} for ModalityTransformer: the transformer of modality "
                f"{name!r} is {transformers[name]!r}, which has no parameters."
            )
    for name, settings in nested.items():
        transformers[name].set_params(**settings)
    return transformers, rest


def _split(key, names):
    """The longest name that a key begins with, and the parameter behind it; or None twice."""
    owners = [name for name in names if key.startswith(f"{name}__")]
    if not owners:
        return None, None
    name = max(owners, key=len)
    return name, key[len(name) + 2 :]


def _settings(transformer):
    instance = hasattr(transformer, "get_params") and not isinstance(transformer, type)
    return transformer.get_params() if instance else {}
