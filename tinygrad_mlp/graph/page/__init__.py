"""One self-contained HTML page for a graph: nothing is fetched, nothing but what is in the file may run.

The layout is computed by dagre 3.1.3 (MIT, ``dagre.LICENSE.txt``), which lies in the page like everything else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["frame_of", "page_of"]


def page_of(document: Mapping[str, Any]) -> str:
    """The page of a graph's document (see docs/graph-json.md), to be written to a file or shown in a frame."""
    style, layout, viewer = (_part(name) for name in ("viewer.css", "dagre.min.js", "viewer.js"))
    scripts = " ".join(_hash(one) for one in (layout, viewer))
    policy = f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    # No text of the data can end the element that holds it.
    data = json.dumps(document, allow_nan=False, ensure_ascii=True).replace("<", "\\u003c")
    title = html.escape(str(document.get("title") or "Computation graph"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<script type="application/json" id="graph">{data}</script>\n'
        f"<script>{layout}</script>\n<script>{viewer}</script>\n</body>\n</html>\n"
    )


def frame_of(page: str, height: int = 560) -> str:
    """An element that shows the page inside another one, cut off from it: it runs its own script and nothing else."""
    source = html.escape(page)
    return (
        f'<iframe srcdoc="{source}" sandbox="allow-scripts" width="100%" height="{height}" frameborder="0" '
        'title="computation graph"></iframe>'
    )


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
