"""Checks that users can run on their own functions and modules."""

from __future__ import annotations

from .gradcheck import GradcheckReport, gradcheck, gradcheck_module

__all__ = ["GradcheckReport", "gradcheck", "gradcheck_module"]
