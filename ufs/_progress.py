"""A bar in a terminal, for what takes more than a second."""

from __future__ import annotations

from typing import Any


def watched(items: Any, unit: str) -> Any:
    """The items, with a bar once they have taken a second; without one where tqdm is not installed."""
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return items
    return tqdm(items, unit=unit, delay=1, disable=None)
