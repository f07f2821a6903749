"""Estimators that put several models together."""

from .pool import EvidencePool
from .pool_report import BlockImportance, Evidence

__all__ = ["BlockImportance", "Evidence", "EvidencePool"]
