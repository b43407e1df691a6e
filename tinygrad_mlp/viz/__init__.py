"""Pictures of training and of its results: matplotlib figures in one house style, and a report in one HTML file.

Every function draws into the axes it is given or into a figure of its own, never through pyplot's global state.
"""

from __future__ import annotations

from .confusion import confusion_matrix, plot_confusion_matrix
from .curves import plot_curve, plot_history
from .pictures import plot_mistakes, plot_weights
from .planes import plot_decision_boundary, plot_predictions
from .rates import plot_lr_find, plot_schedules
from .report import Answers, Written, write_report
from .style import figure_svg

__all__ = [
    "Answers",
    "Written",
    "confusion_matrix",
    "figure_svg",
    "plot_confusion_matrix",
    "plot_curve",
    "plot_decision_boundary",
    "plot_history",
    "plot_lr_find",
    "plot_mistakes",
    "plot_predictions",
    "plot_schedules",
    "plot_weights",
    "write_report",
]
