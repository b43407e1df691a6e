"""Programs as C: generated from the ops' own declarations, compiled by the system's compiler, kept on disk.

``lower`` turns op calls into nodes on memory, ``fuse`` nodes into kernels, ``emit`` kernels into C; ``cache`` and
``toolchain`` make a library of it, and ``backend`` runs that.
"""

from .backend import Batches, Gathered, Native, Stacked

__all__ = ["Batches", "Gathered", "Native", "Stacked"]
