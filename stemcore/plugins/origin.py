"""Where a plugin lies that was not loaded, for whoever wants to mend or remove it."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, EntryPoint
from urllib.parse import urlsplit


def origin_of(point: EntryPoint) -> str:
    """The folder in which the distribution of an entry point is installed, the project's own where it is an editable
    install; empty if that is unknown."""
    if point.dist is None:
        return ""
    try:
        return _project(point.dist) or str(point.dist.locate_file(""))
    except (OSError, ValueError, AttributeError):
        return ""


def _project(distribution: Distribution) -> str:
    """The project's folder of an editable install (PEP 610), else empty."""
    text = distribution.read_text("direct_url.json")
    source = json.loads(text) if text else {}
    if not source.get("dir_info", {}).get("editable"):
        return ""
    from urllib.request import url2pathname  # brings the whole of HTTP along, which stem --help does without

    return url2pathname(urlsplit(source["url"]).path)
