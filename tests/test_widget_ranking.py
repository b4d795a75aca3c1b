"""The interactive figure that ranks networks: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    HOSTILE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    assert_hostile_text_is_text,
    boxes,
    content,
    output,
    press,
    wait_for_speech,
)
from scipy.stats import kendalltau
from shown import shows

from ufs.widgets import Ranking, ranking

FAMILIES = ("mlp", "cnn", "depthwise")
MEASURES = {"H-score": "h", "gain": "gain", "noise": "noise"}


def networks(seeds: int = 2) -> list[dict[str, Any]]:
    """Fifteen architectures in three families, a good measure, a fair one and one that knows nothing."""
    rng = np.random.default_rng(0)
    result = []
    for family in FAMILIES:
        for width in range(5):
            skill = rng.random()
            for seed in range(seeds):
                accuracy = 0.7 + 0.25 * skill + 0.01 * rng.random()
                values = (
                    3 * accuracy + 0.02 * rng.random(),
                    2 * accuracy + 0.4 * rng.random(),
                    rng.standard_normal(),
                )
                one = {"family": family, "name": f"{family}-{width}", "seed": seed, "accuracy": accuracy}
                result.append(one | dict(zip(MEASURES.values(), values, strict=True)))
    return result


@pytest.fixture
def figure() -> Ranking:
    return ranking(networks(), MEASURES)


def tau(key: str, family: str | None = None, seeds: int = 2) -> float:
    """Kendall's τ over pairs of different architectures, pair by pair."""
    scope = [one for one in networks(seeds) if family in (None, one["family"])]
    signs = [
        np.sign((a[key] - b[key]) * (a["accuracy"] - b["accuracy"]))
        for a in scope
        for b in scope
        if a["name"] != b["name"]
    ]
    return float(np.mean(signs))


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(figure: Ranking) -> None:
    data = content(figure)["data"]
    assert data["families"] == list(FAMILIES)
    assert data["measures"] == list(MEASURES)
    ordered = sorted(networks(), key=lambda one: one["accuracy"])
    assert [one["name"] for one in data["networks"]] == [one["name"] for one in ordered]
    found = [[one["accuracy"], *one["values"]] for one in data["networks"]]
    expected = [[one["accuracy"], *(one[key] for key in MEASURES.values())] for one in ordered]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert content(figure)["state"] == {"measure": 0, "family": 0, "network": 15}
    assert len(figure.html()) < 60_000
    assert figure.html() == ranking(networks(), MEASURES).html()


def test_tau_counts_pairs_of_different_architectures(figure: Ranking) -> None:
    for i, key in enumerate(MEASURES.values()):
        assert figure.tau(i) == pytest.approx(tau(key), abs=1e-12)
        for j, family in enumerate(FAMILIES, 1):
            assert figure.tau(i, j) == pytest.approx(tau(key, family), abs=1e-12)
    single = networks(seeds=1)
    expected = kendalltau([one["h"] for one in single], [one["accuracy"] for one in single]).statistic
    assert ranking(single, MEASURES).tau(0) == pytest.approx(expected, abs=1e-12)


def test_state_is_checked(figure: Ranking) -> None:
    figure.measure, figure.family, figure.network = 2, 3, 29
    assert content(figure)["state"] == {"measure": 2, "family": 3, "network": 29}
    for name, value in (("measure", 3), ("family", 4), ("network", 30), ("network", -1)):
        with pytest.raises(traitlets.TraitError):
            setattr(figure, name, value)
    chosen = figure.data["networks"][29]
    assert repr(figure) == (f"<Ranking of 30 networks by noise: depthwise, {chosen['name']} of seed {chosen['seed']}>")


def test_unsuitable_networks_are_refused() -> None:
    good = networks()
    with pytest.raises(ValueError, match="there is no measure"):
        ranking(good, {})
    with pytest.raises(ValueError, match="0 families"):
        ranking([], MEASURES)
    with pytest.raises(ValueError, match="4 families"):
        ranking([*good, good[0] | {"family": "more"}], MEASURES)
    with pytest.raises(ValueError, match="have one name"):
        ranking([one for one in good if one["name"] in ("mlp-0", "cnn-0", "cnn-1")], MEASURES)
    with pytest.raises(ValueError, match="gain = nan of mlp-0, seed 0, is no finite number"):
        ranking([good[0] | {"gain": np.nan}, *good[1:]], MEASURES)
    with pytest.raises(ValueError, match="an accuracy is between 0 and 1"):
        ranking([good[0] | {"accuracy": 88.0}, *good[1:]], MEASURES)


def test_names_are_text() -> None:
    hostile = [one | {"name": one["name"] + HOSTILE} for one in networks()]
    assert_hostile_text_is_text(ranking(hostile, {HOSTILE: "h"}))


# ---- in a browser ----------------------------------------------------------------------------------------------------


def check(page: Any, key: str, family: str | None, chosen: int) -> None:
    ordered = sorted(networks(), key=lambda one: one["accuracy"])
    one = ordered[chosen]
    others = [other for other in ordered if family in (None, other["family"]) and other["name"] != one["name"]]
    wrong = [other for other in others if (other[key] - one[key]) * (other["accuracy"] - one["accuracy"]) < 0]
    assert shows(output(page, "tau"), tau(key, family))
    assert shows(output(page, "pairs"), 50 * (1 + tau(key, family)))
    assert output(page, "name") == f"{one['name']}, seed {one['seed']}"
    assert shows(output(page, "accuracy"), 100 * one["accuracy"])
    assert shows(output(page, "value"), one[key])
    assert output(page, "wrong") == f"{len(wrong)} of {len(others)}"


def positions(family: str) -> list[int]:
    ordered = sorted(networks(), key=lambda one: one["accuracy"])
    return [i for i, one in enumerate(ordered) if one["family"] == family]


def test_every_choice_shows_its_order(show: Show, figure: Ranking) -> None:
    page = show(figure)
    slider = page.get_by_role("slider")
    check(page, "h", None, 15)
    slider.fill("3")
    check(page, "h", None, 3)
    press(page, "noise")
    check(page, "noise", None, 3)
    press(page, "cnn")
    scope = positions("cnn")
    nearest = min(scope, key=lambda i: abs(i - 3))
    check(page, "noise", "cnn", nearest)
    slider.fill("9")
    check(page, "noise", "cnn", scope[9])
    press(page, "gain")
    check(page, "gain", "cnn", scope[9])
    press(page, "all")
    check(page, "gain", None, scope[9])


def centres(page: Any) -> np.ndarray:
    """Where the points are, in the drawing's units, in ascending order of accuracy."""
    return np.array(
        page.locator(".ufs-dot").evaluate_all(
            "nodes => nodes.map(n => n.getBBox()).map(b => [b.x + b.width / 2, b.y + b.height / 2])"
        )
    )


def test_points_stand_where_their_numbers_say(show: Show, figure: Ranking) -> None:
    page = show(figure)
    press(page, "gain")
    ordered = sorted(networks(), key=lambda one: one["accuracy"])
    for axis, values in enumerate(([one["gain"] for one in ordered], [one["accuracy"] for one in ordered])):
        slope, shift = np.polyfit(values, centres(page)[:, axis], 1)
        np.testing.assert_allclose(centres(page)[:, axis], np.array(values) * slope + shift, atol=0.8)
        assert (slope > 0) == (axis == 0)


def test_the_shaded_corners_hold_what_is_wrongly_ordered(show: Show, figure: Ranking) -> None:
    page = show(figure)
    press(page, "noise")
    corners = boxes(page.locator(".ufs-corner"))
    ordered = sorted(networks(), key=lambda one: one["accuracy"])
    spots, one = centres(page), ordered[15]
    inside = {
        i
        for i, (x, y) in enumerate(spots)
        if any(left < x < left + width and top < y < top + height for left, top, width, height in corners)
        and ordered[i]["name"] != one["name"]
    }
    wrong = {
        i
        for i, other in enumerate(ordered)
        if (other["noise"] - one["noise"]) * (other["accuracy"] - one["accuracy"]) < 0 and other["name"] != one["name"]
    }
    assert inside == wrong
    assert len(wrong) == int(output(page, "wrong").split()[0])


def test_pointing_chooses_the_nearest(show: Show, figure: Ranking) -> None:
    page = show(figure)
    box = page.locator(".ufs-plane svg").bounding_box()
    spots = centres(page)
    gaps = np.linalg.norm(spots[:, None] - spots, axis=2) + 1e3 * np.eye(len(spots))
    alone = int(gaps.min(axis=1).argmax())
    x, y = spots[alone]
    unit = box["width"] / 680
    page.mouse.click(box["x"] + unit * x + 1, box["y"] + unit * y + 1)
    check(page, "h", None, alone)
    press(page, "mlp")
    page.mouse.click(box["x"] + unit * 60, page.locator(".ufs-plane svg").bounding_box()["y"] + unit * 310)
    check(page, "h", "mlp", positions("mlp")[0])


def test_the_keyboard_walks_through_the_networks(show: Show, figure: Ranking) -> None:
    page = show(figure)
    slider = page.get_by_role("slider")
    slider.focus()
    for key, chosen in (("ArrowLeft", 14), ("Home", 0), ("ArrowRight", 1), ("End", 29)):
        page.keyboard.press(key)
        check(page, "h", None, chosen)
    best = figure.data["networks"][29]
    assert slider.get_attribute("aria-valuetext") == f"{best['name']}, seed {best['seed']}"
    page.get_by_role("button", name="depthwise", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.locator("button[aria-pressed=true]").count() == 2
    wait_for_speech(page, "Kendall’s tau")


@pytest.mark.parametrize("wide", [375, 732])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Ranking, wide: int) -> None:
    page = show(figure, viewport={"width": wide, "height": 800})
    for name in ("H-score", "noise", "cnn"):
        press(page, name)
        assert_fits(page, wide)
        size = page.locator(".ufs-measure").evaluate("n => n.getBoundingClientRect().height")
        assert size > 11  # letters stay readable


def test_the_figure_is_accessible(show: Show, figure: Ranking) -> None:
    assert_accessible(show(figure))


def test_without_scripts_the_table_stands(show: Show, figure: Ranking) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 4
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(show: Show, figure: Ranking) -> None:
    page = show(figure)
    figure.measure, figure.network = 1, 7
    notebook = Notebook(page, figure)
    check(page, "gain", None, 7)
    assert notebook.saved == []
    page.get_by_role("slider").fill("8")
    assert notebook.saved == [[1, 0, 8]]
    notebook.set(measure=2)
    check(page, "noise", None, 8)
    notebook.close()
