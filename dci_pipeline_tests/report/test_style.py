"""Colours keep what they promise: contrast with the surface, distance for colour-blind readers, even steps."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from dci_pipeline.report.style import DARK, LIGHT, THEMES, Theme, as_data, config, steps

# Full deficiency, on linear sRGB: Machado, Oliveira and Fernandes (2009).
BLIND = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
CONES = np.array([*CONES, [0.0883024619, 0.2817188376, 0.6299787005]])
LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
LAB = np.array([*LAB, [0.0259040371, 0.7827717662, -0.8086757660]])

both = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: str, sight: str = "none") -> np.ndarray:
    return LAB @ np.cbrt(CONES @ np.clip(np.array(BLIND[sight]) @ linear(colour), 0, 1))


def test_black_and_white_measure_as_known() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert oklab("#FFFFFF") == pytest.approx([1, 0, 0], abs=1e-3)


@both
def test_text_and_marks_are_seen(theme: Theme) -> None:
    for ground in (theme.surface, theme.raised):
        assert min(contrast(colour, ground) for colour in (theme.ink, theme.muted)) >= 4.5
        assert min(contrast(colour, ground) for colour in (theme.rise, theme.fall, theme.accent)) >= 4.5
        assert contrast(theme.focus, ground) >= 3
    assert min(contrast(colour, theme.surface) for colour in theme.categorical) >= 3


@both
@pytest.mark.parametrize("sight", BLIND)
def test_categories_stay_apart_for_every_reader(theme: Theme, sight: str) -> None:
    apart = {
        pair: float(np.linalg.norm(oklab(pair[0], sight) - oklab(pair[1], sight)))
        for pair in combinations(theme.categorical, 2)
    }
    assert min(apart.values()) >= 0.08, min(apart, key=apart.__getitem__)
    directions = np.linalg.norm(oklab(theme.rise, sight) - oklab(theme.fall, sight))
    assert directions >= 0.08


@both
def test_a_scheme_is_even_and_ends_away_from_the_surface(theme: Theme) -> None:
    light = np.array([oklab(colour)[0] for colour in theme.sequential])
    moves = np.diff(light)
    assert (moves < 0).all() if theme is LIGHT else (moves > 0).all()
    assert moves == pytest.approx([moves.mean()] * len(moves), rel=0.1)
    assert contrast(theme.sequential[-1], theme.surface) > contrast(theme.sequential[0], theme.surface)


@both
def test_a_diverging_scheme_leaves_its_middle_alike_on_both_sides(theme: Theme) -> None:
    light = [oklab(colour)[0] for colour in theme.diverging]
    assert light == pytest.approx(light[::-1], abs=0.02)
    half = light[: len(light) // 2 + 1]
    assert half == sorted(half, reverse=theme is DARK)


@pytest.mark.parametrize("count", [1, 2, 4, 7, 12])
def test_steps_go_from_end_to_end(count: int) -> None:
    made = steps(LIGHT.sequential, count)
    assert len(made) == len(set(made)) == count
    if count > 1:
        assert (made[0], made[-1]) == (LIGHT.sequential[0], LIGHT.sequential[-1])
    light = [oklab(colour)[0] for colour in made]
    assert light == sorted(light, reverse=True)


def test_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="0 colours"):
        steps(LIGHT.sequential, 0)


def test_it_all_goes_into_a_page_as_json() -> None:
    data = json.loads(json.dumps(as_data()))
    assert data["themes"]["dark"]["config"] == config(DARK)
    assert data["themes"]["light"]["categorical"] == list(LIGHT.categorical)
    assert {"points", "fraction", "places"} <= set(data["numbers"])
