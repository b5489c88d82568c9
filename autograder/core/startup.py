"""Keep imports quick. Imported before anything that reads notebooks."""

from __future__ import annotations

import sys

NEVER_NEEDED = ("rfc3987_syntax", "rfc3986_validator", "isoduration")
"""jsonschema's checks of URLs and durations, which no notebook holds: more to import than the rest together."""


def leave_out() -> None:
    """Have jsonschema find them missing, as they often are, unless it is imported already."""
    if "jsonschema" not in sys.modules:
        for name in NEVER_NEEDED:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]
