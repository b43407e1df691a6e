"""Checks that users can run on their own functions, ops, modules and optimizers, and inputs to run them on."""

from __future__ import annotations

from . import strategies
from .conformance import check_module, check_optimizer
from .gradcheck import gradcheck, gradcheck_module
from .gradcheck_report import GradcheckReport, InputDetail, Kink
from .laws import LAWS, Law, OpReport, check_op
from .property import gradient_test
from .report import Finding, Report

__all__ = [
    "LAWS",
    "Finding",
    "GradcheckReport",
    "InputDetail",
    "Kink",
    "Law",
    "OpReport",
    "Report",
    "check_module",
    "check_op",
    "check_optimizer",
    "gradcheck",
    "gradcheck_module",
    "gradient_test",
    "strategies",
]
