"""Checks for balancing methods of your own."""

from .check_method import check_method, method_checks

__all__ = ["check_method", "method_checks"]
