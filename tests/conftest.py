"""What the tests of the package and of the book share."""

from pathlib import Path

import pytest
from figure_page import chromium, eyes, many, pages, show

__all__ = ["chromium", "eyes", "many", "pages", "project", "show", "site"]

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's top folder."""
    return PROJECT


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built pages. The tests of the pages fail where there are none: they are never left out."""
    from bookfiles import PAGES, SITE  # beside the tests of the book, which alone ask for this

    missing = [page for page in PAGES if not (SITE / f"{page}.html").is_file()]
    if missing:
        message = f"The book is not built: {missing[0]} is missing. Run `make book` first, or `make test`, which does."
        pytest.fail(message, pytrace=False)
    return SITE
