import pytest
from shown import all_show, half_unit, shows


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("12 %", 12.49),
        ("0.204 rad", 0.2044),
        ("−0.5", -0.46),
        ("1,234", 1233.6),
        ("3.1e-4", 3.06e-4),
        ("0.125", 0.1245),
    ],
)
def test_a_rounded_number_is_shown(text: str, exact: float) -> None:
    assert shows(text, exact)


@pytest.mark.parametrize(
    ("text", "exact"),
    [("12 %", 12.51), ("0.204 rad", 0.2046), ("0.5", -0.46), ("1,234", 1235.1), ("3.1e-4", 3.16e-4), ("12 %", 11.4)],
)
def test_another_is_not(text: str, exact: float) -> None:
    assert not shows(text, exact)


def test_several() -> None:
    assert all_show(["1.0", "2"], [1.04, 2.4])
    assert not all_show(["1.0", "2"], [1.04, 2.6])
    with pytest.raises(ValueError, match="zip"):
        all_show(["1.0"], [1.0, 2.0])
    with pytest.raises(ValueError, match="values"):
        shows("1 of 2", 1)
    assert half_unit("1.2e3") == 50
