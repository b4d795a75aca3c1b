"""The built book, for the tests that read it back."""

from pathlib import Path

import pytest
from bookfiles import PAGES, SITE


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built pages. The tests of the pages fail where there are none: they are never left out."""
    missing = [page for page in PAGES if not (SITE / f"{page}.html").is_file()]
    if missing:
        pytest.fail(
            f"The book is not built ({missing[0]} is missing). Run `make book` first, or `make test`, which does.",
            pytrace=False,
        )
    return SITE
