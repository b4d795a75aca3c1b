"""The interactive figure of what an H-score costs: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    PHONE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    centre,
    content,
    drag,
    keys,
    output,
    press,
    swipe,
    wait_for_speech,
)
from shown import shows

from ufs.widgets import Cost, cost

RATES = {"product": 1.6e11, "number": 3e-9, "end": 8e10, "call": 1e-3}
POINTS = [
    *({"n": n, "d": 128, "classes": 10, "seconds": s} for n, s in ((1e4, 0.004), (1e5, 0.04), (1e6, 0.4))),
    {"n": 2e4, "d": 512, "classes": 10, "seconds": 0.07},
    {"n": 5e4, "d": 2048, "classes": 1000, "seconds": 1.7},
]
UNITS = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "days": 86400}
PARTS = ("product", "pass", "network", "end")
BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}


@pytest.fixture
def figure() -> Cost:
    return cost(RATES, POINTS)


def expected(n: float, d: float, g: float, w: float = 1, network: float = 10, double: bool = False) -> dict[str, float]:
    """The model, written down anew."""
    m = min(d, g)
    end = d**3 / 3 + 2 * d * d * g + 2 * d * g * m + 4 * m**3 / 3
    return {
        "product": n * d * (d + 1) / (RATES["product"] / (2 if double else 1)) / w,
        "pass": n * d * RATES["number"] / w,
        "network": 2 * (w - 1) / w * 8 * (d * d + g * d + g) * 8 / (network * 1e9),
        "end": end / RATES["end"] + RATES["call"],
    }


def shows_quantity(page: Any, name: str, units: dict[str, float], exact: float) -> bool:
    number, _, unit = output(page, name).partition("\u00a0")
    return shows(number, exact / units[unit] if unit else exact)


def check(page: Any, *sizes: float, **choices: Any) -> None:
    parts = expected(*sizes, **choices)
    for name in PARTS:
        assert shows_quantity(page, name, UNITS, parts[name])
    assert shows_quantity(page, "total", UNITS, sum(parts.values()))
    assert shows_quantity(page, "limit", UNITS, parts["product"])
    n, d, g = sizes[:3]
    assert shows_quantity(page, "file", BYTES, 4 * n * d)
    assert shows_quantity(page, "sent", BYTES, 8 * (d * d + g * d + g))
    shares = page.locator(".ufs-bar").evaluate_all("nodes => nodes.map(n => parseFloat(n.style.width))")
    np.testing.assert_allclose(shares, [100 * parts[p] / sum(parts.values()) for p in PARTS], atol=0.2)


def size(page: Any, name: str) -> float:
    return float(output(page, name).replace(",", ""))


def slider(page: Any, name: str) -> Any:
    return page.locator(f"input[aria-label='Number of {name}']")


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(figure: Cost) -> None:
    found = content(figure)
    assert found["data"]["rates"] == RATES
    assert found["data"]["points"] == POINTS
    assert found["data"]["examples"][2] == ["ImageNet-21k, 16 machines", 14_197_122, 2048, 21_841, 16]
    assert found["state"] == {
        "n": 1e6, "d": 128, "classes": 10, "workers": 1, "network": 1, "double": False, "axis": "n",
    }  # fmt: skip
    assert len(figure.html()) < 60_000
    assert figure.html() == cost(RATES, POINTS).html()


@pytest.mark.parametrize("sizes", [(1e6, 256, 100, 1), (14_197_122, 2048, 21_841, 16), (1e4, 8000, 5, 300)])
def test_seconds(figure: Cost, sizes: tuple[float, ...]) -> None:
    figure.n, figure.d, figure.classes, figure.workers = sizes
    for network, speed in enumerate((1, 10, 100)):
        for double in (False, True):
            figure.network, figure.double = network, double
            assert figure.seconds() == pytest.approx(expected(*sizes, network=speed, double=double), rel=1e-12)


def test_refused(figure: Cost) -> None:
    for wrong in ({"product": 0}, {"end": -1}, {"number": np.inf}, {"call": np.nan}):
        with pytest.raises(ValueError, match=r"the model needs a positive number"):
            cost(RATES | wrong, POINTS)
    with pytest.raises(ValueError, match=r"rates\['end'\] = nan"):
        cost({"product": 1.0, "number": 0, "call": 0}, [])
    for wrong in ({"seconds": np.nan}, {"d": 0}):
        with pytest.raises(ValueError, match=rf"points\[1\]\['{next(iter(wrong))}'\] = "):
            cost(RATES, [POINTS[0], POINTS[1] | wrong])
    with pytest.raises(ValueError, match=r"points\[0\]\['classes'\] = None"):
        cost(RATES, [{"n": 1e4, "d": 128, "seconds": 0.1}])
    for name, value in {"n": 10, "workers": 0, "network": 3, "axis": "rows"}.items():
        with pytest.raises(traitlets.TraitError):
            setattr(figure, name, value)


# ---- in a browser ----------------------------------------------------------------------------------------------------


def test_every_choice_shows_its_time(show: Show, figure: Cost) -> None:
    page = show(figure)
    check(page, 1e6, 128, 10)
    press(page, "double")
    check(page, 1e6, 128, 10, double=True)
    press(page, "ImageNet-21k, 16 machines")
    check(page, 14_197_122, 2048, 21_841, w=16, double=True)
    press(page, "1 Gbit/s")
    check(page, 14_197_122, 2048, 21_841, w=16, double=True, network=1)
    press(page, "single")
    press(page, "ImageNet")
    check(page, 1_281_167, 2048, 1000, network=1)
    pressed = page.locator("button[aria-pressed=true]").all_inner_texts()
    assert pressed == ["ImageNet", "samples", "single", "1 Gbit/s"]
    wait_for_speech(page, "1 machines take")


def test_measured_points(show: Show, figure: Cost) -> None:
    page = show(figure)
    assert page.locator(".ufs-measured").count() == 3
    assert page.locator(".ufs-elsewhere").count() == 2
    xs = page.locator(".ufs-measured").evaluate_all("nodes => nodes.map(n => Number(n.getAttribute('cx')))")
    np.testing.assert_allclose(np.diff(xs), np.diff(xs)[0], atol=0.15)  # a decade each
    press(page, "features")
    assert page.locator(".ufs-measured").count() == 1
    slider(page, "samples").fill(f"{np.log10(2e4):.12f}")
    assert size(page, "n") == 20_000
    # of the sweep over features one point lies at these sizes
    assert page.locator(".ufs-measured").count() == 1
    press(page, "samples")
    assert page.locator(".ufs-measured").count() == 3


def test_the_limit_lies_below(show: Show, figure: Cost) -> None:
    page = show(figure)
    for axis in ("samples", "features", "classes", "machines"):
        press(page, axis)
        limit, curve = page.locator(".ufs-plane path").evaluate_all(
            "nodes => nodes.map(n => n.getAttribute('d').slice(1).split('L').map(p => p.split(',').map(Number)))"
        )
        heights = dict(curve)  # of what the drawing has room for
        assert len(heights) > 60
        assert len(limit) > 30
        assert all(y >= heights[x] - 0.11 for x, y in limit)  # the vertical axis points down


def test_the_mouse_drags_along_the_curve(show: Show, figure: Cost) -> None:
    page = show(figure)
    point = page.locator(".ufs-handle .ufs-point")
    x, y = centre(point)
    drag(page, (x, y), (x + 80, y - 20))
    n = size(page, "n")
    assert n > 1e7
    check(page, n, 128, 10)
    press(page, "machines")
    x, y = centre(point)
    drag(page, (x, y), (x + 112, y - 8))
    w = size(page, "workers")
    assert w > 10
    check(page, n, 128, 10, w=w)


def test_a_finger_drags_too(show: Show, figure: Cost) -> None:
    page = show(figure, **PHONE)
    knob = page.locator(".ufs-handle")
    knob.scroll_into_view_if_needed()
    x, y = centre(knob.locator(".ufs-point"))
    swipe(page, (x, y), (x - 60, y))
    assert size(page, "n") < 1e5


def test_the_keyboard_moves_sliders_and_knob(show: Show, figure: Cost) -> None:
    page = show(figure)
    slider(page, "machines").focus()
    keys(page, "ArrowRight", "ArrowRight", "PageUp")
    assert size(page, "workers") == 5  # 1, 2, 3, and ten steps of 0.02 decades
    assert slider(page, "machines").get_attribute("aria-valuetext") == "5 machines"
    page.locator(".ufs-handle").focus()
    keys(page, "ArrowLeft")
    n = size(page, "n")
    assert n == 955_000
    check(page, n, 128, 10, w=5)
    assert page.locator(".ufs-handle").get_attribute("aria-valuetext").startswith("955,000 samples: ")
    for _ in range(30):
        keys(page, "PageDown")
    assert size(page, "n") == 1000


@pytest.mark.parametrize("wide", [375, 732])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Cost, wide: int) -> None:
    page = show(figure, viewport={"width": wide, "height": 800})
    press(page, "ImageNet-21k, 16 machines")
    for axis in ("samples", "machines"):
        press(page, axis)
        assert_fits(page, wide)
    letters = page.locator("svg text").evaluate_all("nodes => nodes.map(n => n.getBoundingClientRect().height)")
    assert min(letters) > 9  # letters stay readable


def test_the_figure_is_accessible(show: Show, figure: Cost) -> None:
    assert_accessible(show(figure))


def test_without_scripts_the_table_stands(show: Show, figure: Cost) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 1 + len(POINTS)
    assert "50,000" in page.locator("table").inner_text()


def test_a_notebook_shares_the_state(show: Show, figure: Cost) -> None:
    page = show(figure)
    figure.n, figure.workers, figure.double, figure.axis = 5e6, 4.0, True, "workers"
    notebook = Notebook(page, figure)
    check(page, 5e6, 128, 10, w=4, double=True)
    assert notebook.saved == []
    press(page, "100 Gbit/s")
    assert notebook.saved == [[5e6, 128, 10, 4, 2, True, "workers"]]
    notebook.set(d=512.0)
    check(page, 5e6, 512, 10, w=4, double=True, network=100)
    notebook.close()
