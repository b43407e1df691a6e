"""The exception tree: every error the package raises on purpose.

    TinygradMlpError
    ├── ShapeError (ValueError)            shapes that do not fit together
    ├── DTypeError (TypeError)             data of a kind the engine cannot take or differentiate
    ├── ArgumentError (ValueError)         an option outside the values it can take
    ├── GradientError (RuntimeError)       a backward pass that cannot be right
    │   ├── ReleasedGraphError             a second walk over a graph whose values were let go
    │   ├── ChangedValueError              a value that a rule needs was overwritten after it was recorded
    │   ├── SharingError (BufferError)     memory asked for by another library, whose use no gradient would know of
    │   └── AnomalyError (FloatingPointError) a NaN or an infinity, found where it first appeared (detect_anomaly)
    ├── CaptureError (RuntimeError)        a function that cannot be run once for many samples, or again without Python
    ├── CompilerError (RuntimeError)       no C compiler, or one that refused the code generated for it
    ├── WorkerError (RuntimeError)         a process that fetches batches died, or does not answer
    ├── StateError (ValueError)            a state dict that does not fit its module or optimizer
    ├── FileFormatError (ValueError)       a file that cannot be read as what it is given for
    │   ├── DamagedFileError               its content is not what was written: cut short, or bits have changed
    │   └── UnsafeFileError                it asks for foreign code, or for more memory than its own size
    ├── ConformanceError (AssertionError)  an op, module or optimizer breaks a law that all of them keep
    ├── MissingExtraError (ImportError)    an optional library is not installed
    └── DataNotFoundError (FileNotFoundError)
        └── ChecksumError                  the file is there, its content is not what was published

Each also derives from the built-in exception that callers would look for, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AnomalyError",
    "ArgumentError",
    "CaptureError",
    "ChangedValueError",
    "ChecksumError",
    "CompilerError",
    "ConformanceError",
    "DTypeError",
    "DamagedFileError",
    "DataNotFoundError",
    "FileFormatError",
    "GradientError",
    "MissingExtraError",
    "ReleasedGraphError",
    "ShapeError",
    "SharingError",
    "StateError",
    "TinygradMlpError",
    "UnsafeFileError",
    "WorkerError",
    "did_you_mean",
]


class TinygradMlpError(Exception):
    """Base of every exception that this package raises on purpose."""


class ShapeError(TinygradMlpError, ValueError):
    """Shapes that do not fit together; the message names both and the axis."""


class DTypeError(TinygradMlpError, TypeError):
    """Data of a kind that the engine cannot hold or differentiate."""


class ArgumentError(TinygradMlpError, ValueError):
    """An option outside the values it can take."""


class GradientError(TinygradMlpError, RuntimeError):
    """A backward pass that cannot give the right answer."""


class ReleasedGraphError(GradientError):
    """A second walk over a graph whose kept values were released by the first."""


class ChangedValueError(GradientError):
    """A value that a gradient rule needs was overwritten after the op recorded it."""


class SharingError(GradientError, BufferError):
    """Another library asks for the memory of a tensor that requires gradients; DLPack wants a BufferError then."""


class AnomalyError(GradientError, FloatingPointError):
    """A value or a gradient that is NaN or infinite, though everything it was made of is finite."""


class CaptureError(TinygradMlpError, RuntimeError):
    """A function cannot be captured: it does something else for each sample (vmap), or needs Python (compile)."""


class CompilerError(TinygradMlpError, RuntimeError):
    """No C compiler was found, or it refused; the message says what was tried."""


class WorkerError(TinygradMlpError, RuntimeError):
    """A worker process of a DataLoader died, or does not answer."""


class StateError(TinygradMlpError, ValueError):
    """A state dict that does not fit; the message lists every difference at once."""


class FileFormatError(TinygradMlpError, ValueError):
    """A file that cannot be read as what it is given for; the message says where it departs from the format."""


class DamagedFileError(FileFormatError):
    """The content is not what was written: the file is cut short, or its checksum says that bits have changed."""


class UnsafeFileError(FileFormatError):
    """The file asks for code to be run or for memory out of proportion to its size; nothing of it was carried out."""


class ConformanceError(TinygradMlpError, AssertionError):
    """An op, module or optimizer breaks a law that all of them keep; the message is the report."""


class MissingExtraError(TinygradMlpError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class DataNotFoundError(TinygradMlpError, FileNotFoundError):
    """A data set's files are nowhere to be found; the message lists the ways to provide them."""


class ChecksumError(DataNotFoundError):
    """A data file's content differs from what its publisher released."""


def did_you_mean(what: str, given: object, valid: Iterable[str]) -> str:
    """One sentence naming a wrong option, its nearest valid spelling and all valid ones.

    >>> did_you_mean("optimizer", "adma", ["sgd", "adam"])
    "unknown optimizer 'adma'; did you mean 'adam'? Valid: adam, sgd"
    """
    names = sorted(valid)
    # Letters that changed places come first: "adma" is adam, though by difflib's count it is nearer to adamax.
    near = [name for name in names if sorted(name) == sorted(str(given))]
    near = near or difflib.get_close_matches(str(given), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {given!r}{hint} Valid: {', '.join(names)}"
