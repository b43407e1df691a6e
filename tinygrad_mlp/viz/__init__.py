"""Pictures of training and of its results: matplotlib figures in one house style, and a report in one HTML file.

The displays are scikit-learn's pattern: ``HistoryDisplay.from_history(history).figure_``; they hold what was computed
and draw it as often as they are asked. Under them, the ``plot_`` functions only draw, and return the axes or the
figure. Both draw into the axes they are given or into a figure of their own, never through pyplot's global state.
"""

from __future__ import annotations

from .activations import activation_curves, plot_activations
from .confusion import confusion_matrix, plot_confusion_matrix
from .curves import plot_curve, plot_history
from .displays import (
    ActivationDisplay,
    ConfusionMatrixDisplay,
    DecisionBoundaryDisplay,
    Display,
    HistogramDisplay,
    HistoryDisplay,
    LossLandscapeDisplay,
    LRFindDisplay,
    MistakesDisplay,
    PredictionErrorDisplay,
    WeightsDisplay,
)
from .histograms import plot_histograms
from .landscape import Landscape, loss_landscape, parameters_of, plot_loss_landscape
from .pictures import plot_mistakes, plot_weights
from .planes import plot_decision_boundary, plot_predictions
from .rates import plot_lr_find, plot_schedules
from .report import Answers, Written, write_report
from .style import figure_svg

__all__ = [
    "ActivationDisplay",
    "Answers",
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "Display",
    "HistogramDisplay",
    "HistoryDisplay",
    "LRFindDisplay",
    "Landscape",
    "LossLandscapeDisplay",
    "MistakesDisplay",
    "PredictionErrorDisplay",
    "WeightsDisplay",
    "Written",
    "activation_curves",
    "confusion_matrix",
    "figure_svg",
    "loss_landscape",
    "parameters_of",
    "plot_activations",
    "plot_confusion_matrix",
    "plot_curve",
    "plot_decision_boundary",
    "plot_histograms",
    "plot_history",
    "plot_loss_landscape",
    "plot_lr_find",
    "plot_mistakes",
    "plot_predictions",
    "plot_schedules",
    "plot_weights",
    "write_report",
]
