"""Checks that users can run on their own functions and modules."""

from __future__ import annotations

from .gradcheck import gradcheck, gradcheck_module
from .gradcheck_report import GradcheckReport, InputDetail, Kink
from .property import gradient_test

__all__ = ["GradcheckReport", "InputDetail", "Kink", "gradcheck", "gradcheck_module", "gradient_test"]
