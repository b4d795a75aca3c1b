"""What the tests of the package and of the book share."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's top folder."""
    return PROJECT
