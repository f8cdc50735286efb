"""Cancellations that are caught and forgotten."""

from leaklint.analysis.cancellation.swallowing import swallowed

__all__ = ["swallowed"]
