"""A page's own ``ufs`` metadata: ``{"chapter": 3, "version": "0.1.0", "date": "2026-11-23"}``.

A notebook keeps it under ``metadata.ufs``, a Markdown page under ``ufs:`` in its front matter; Sphinx hands on either
as a string of JSON.
"""

import json
from typing import Any

from sphinx.environment import BuildEnvironment


def page_metadata(env: BuildEnvironment, docname: str) -> dict[str, Any]:
    return json.loads(env.metadata.get(docname, {}).get("ufs", "{}"))
