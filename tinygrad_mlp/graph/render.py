"""From Graphviz text to a file: the one place that knows about renderers, each imported only when it is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import ArgumentError, MissingExtraError, did_you_mean
from ..extras import need

__all__ = ["RENDERERS", "Renderer", "draw", "rendered", "svg_of"]

_FORMATS = ("svg", "png", "pdf")
_PURPOSE = "draw computation graphs"
_STDERR = 2
_stderr_lock = threading.Lock()


class Renderer(NamedTuple):
    """A way to draw: its name for the reader, and what makes a file of Graphviz text and format, None if it cannot."""

    name: str
    draw: Callable[[str, str], bytes | None]


def draw(
    path: str | os.PathLike[str],
    format: str | None,
    *,
    dot: Callable[[], str],
    texts: Mapping[str, Callable[[], str]],
) -> None:
    """Write a graph to ``path``, in ``format`` or the one its name ends in; only what is needed is computed."""
    target = Path(path)
    kind = (format or target.suffix[1:]).lower()
    if kind in {"dot", "gv"}:
        target.write_text(dot(), encoding="utf-8")
    elif kind in texts:
        target.write_text(texts[kind](), encoding="utf-8")
    elif kind in _FORMATS:
        target.write_bytes(rendered(dot(), kind))
    else:
        raise ArgumentError(did_you_mean("picture format", kind, [*_FORMATS, "dot", *texts]))


def svg_of(dot: str) -> str:
    """The ``<svg>`` element alone, without the XML declaration, so that it can stand inside a page."""
    svg = rendered(dot, "svg").decode("utf-8")
    return svg[svg.index("<svg") :]


def rendered(dot: str, format: str) -> bytes:
    """The picture from the first renderer that is installed and knows the format.

    Raises:
        MissingExtraError: there is none; the message holds the command that installs one.
    """
    for renderer in RENDERERS:
        picture = renderer.draw(dot, format)
        if picture is not None:
            return picture
    raise MissingExtraError(
        f'a renderer is needed to draw {format} pictures: pip install "tinygrad-mlp[graph]". Without one, '
        "graph.to_text() prints the graph and graph.to_dot() gives Graphviz text for any viewer"
    )


def _by_pygraphviz(dot: str, format: str) -> bytes | None:
    try:
        pygraphviz = need("pygraphviz", extra="graph", purpose=_PURPOSE)
    except MissingExtraError:
        return None
    with _quiet_libraries():
        picture: bytes = pygraphviz.AGraph(string=dot).draw(format=format, prog="dot")
    return picture


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep what C libraries write to the standard error stream off the terminal; an exception carries it as a note.

    The stream belongs to the process: what other threads write to it meanwhile is held back too. The lock makes
    concurrent renderings take turns, so that each restores the stream that it found.
    """
    with _stderr_lock, tempfile.TemporaryFile() as said:
        try:
            terminal = os.dup(_STDERR)
        except OSError:  # a process without a standard error stream has nothing to keep quiet
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            os.dup2(said.fileno(), _STDERR)
            yield
        except Exception as error:
            said.seek(0)
            error.add_note(said.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(terminal, _STDERR)
            os.close(terminal)


def _by_graphviz_pure(dot: str, format: str) -> bytes | None:
    if format == "pdf":
        return None
    # An environment that was not activated has its programs beside the interpreter, not on PATH.
    program = shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=sysconfig.get_path("scripts"))
    if program is None:
        return None
    done = subprocess.run(  # noqa: S603 - a program found by name, with fixed arguments; the graph goes to its input
        [program, f"-T{format}"], input=dot.encode(), capture_output=True, check=True
    )
    return done.stdout


def _by_dot(dot: str, format: str) -> bytes | None:
    if shutil.which("dot") is None:
        return None
    try:
        graphviz = need("graphviz", extra="graph", purpose=_PURPOSE)
    except MissingExtraError:
        return None
    picture: bytes = graphviz.Source(dot).pipe(format=format, quiet=True)
    return picture


RENDERERS = (
    Renderer("pygraphviz", _by_pygraphviz),
    Renderer("graphviz-pure", _by_graphviz_pure),
    Renderer("dot", _by_dot),
)
"""In the order in which they are tried: bundled with its own libraries, one static binary, the system's own."""
