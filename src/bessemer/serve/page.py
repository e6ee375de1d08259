"""The documentation page: one self-contained HTML file made from the OpenAPI description."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib.resources import files
from typing import Any

from bessemer.serve.wire import Response, to_json


def render(description: dict[str, Any]) -> Response:
    """The page for an OpenAPI description; its policy lets the browser run this script and no other.

    Nothing in the description can end the script or add to the page: every `<` in the data is escaped.
    """
    assets = files("bessemer.serve") / "assets"
    style, script = (assets / "docs.css").read_text("utf-8"), (assets / "docs.js").read_text("utf-8")
    parts = {
        "TITLE": html.escape(str(description["info"]["title"])),
        "STYLE": style,
        "DATA": to_json(description).decode("utf-8").replace("<", "\\u003c"),
        "SCRIPT": script,
    }
    template = (assets / "docs.html").read_text("utf-8")
    text = re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found.group(1)], template)
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    headers = (("content-security-policy", policy), ("x-content-type-options", "nosniff"))
    return Response(200, text.encode("utf-8"), "text/html; charset=utf-8", headers)


def _hash(text: str) -> str:
    """The source expression that allows exactly this inline text (CSP level 2)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
