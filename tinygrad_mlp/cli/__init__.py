"""The command ``tinygrad-mlp``: demo, train, gradcheck, ops.

Importing this package needs NumPy alone; the library that reads command lines is asked for when :func:`main` runs.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from ..errors import MissingExtraError, TinygradMlpError
from ..extras import need
from .app import make_app

__all__ = ["main"]

_FAILED = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: the words after the program's name; those of the process by default.

    Returns:
        0; 1 where a check came out wrong; 2 for errors, which are told in one line, without a traceback; 130 after
        Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # Rules of tables and names of people, in a pipe whose encoding has no signs for them: better "?" than an end.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
    try:
        cyclopts = need("cyclopts", extra="cli", purpose="read command lines")
    except MissingExtraError as error:
        return _fail(error)
    try:
        code = make_app(cyclopts)(
            sys.argv[1:] if arguments is None else list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except cyclopts.CycloptsError as error:
        return _fail(f"{' '.join(str(error).split())} See tinygrad-mlp --help.")
    except BrokenPipeError:
        # The reader has gone (| head): point the stream elsewhere, or Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (TinygradMlpError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return _INTERRUPTED
    return int(code or 0)


def _fail(reason: object) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return _FAILED
