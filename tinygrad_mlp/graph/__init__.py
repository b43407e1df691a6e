"""Pictures of computation graphs: plain data first, then Graphviz text, SVG, PNG, PDF, or a list for the terminal.

>>> from tinygrad_mlp import Tensor
>>> x = Tensor(3.0, requires_grad=True)
>>> graph = (x * x).graph(names={"x": x})
>>> graph
Graph(2 nodes: 1 op, 1 parameter; 2 edges)
>>> graph.nodes[0].gradient_status
<Status.NOT_YET: 'not computed yet'>
"""

from __future__ import annotations

from .board import Board, explain
from .build import graph_of
from .document import schema
from .failed import graph_of_error
from .graph import Graph
from .health import Health
from .plain import Change, Finding, GraphEdge, GraphNode, Status
from .steps import Part, Step

__all__ = [
    "Board",
    "Change",
    "Finding",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Health",
    "Part",
    "Status",
    "Step",
    "explain",
    "graph_of",
    "graph_of_error",
    "schema",
]
