"""Modules, layers, losses, initialisers: torch's names, arguments and defaults."""

from __future__ import annotations

from . import functional, init, utils
from .activations import ACTIVATIONS, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .containers import MLP, ModuleList, Sequential
from .embedding import Embedding
from .layers import Dropout, Flatten, Identity, Linear
from .losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from .module import IncompatibleKeys, Module, Parameter
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .summary import Summary

__all__ = [
    "ACTIVATIONS",
    "GELU",
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "Identity",
    "IncompatibleKeys",
    "LSTMCell",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleList",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Summary",
    "Tanh",
    "functional",
    "init",
    "utils",
]
