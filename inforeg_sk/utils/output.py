"""Transformers whose output no DataFrame can hold."""

__all__ = ["SetOutputNoOpMixin"]


class SetOutputNoOpMixin:
    """Mixin of transformers whose output is what it is, whatever container is asked for."""

    def set_output(self, *, transform=None):
        """Do nothing: the output has more axes than a DataFrame, or is made of several arrays.

        Parameters
        ----------
        transform : ignored
            Here so that ``Pipeline.set_output`` reaches the steps after this one.

        Returns
        -------
        self : transformer
        """
        return self
