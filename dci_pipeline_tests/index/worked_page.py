"""The worked example as METHODOLOGY.md prints it: the words of the section, and every number of it worked out anew.

`python -m dci_pipeline_tests.index.worked_page` puts it into the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from dci_pipeline.weight import exact_alphas
from dci_pipeline_tests.index.worked import DAYS, EXAMPLE, main_case
from dci_pipeline_tests.index.worked_stages import PLACES, scores

PAGE = Path(__file__).parents[2] / "METHODOLOGY.md"
BEGIN, END = "## A worked example\n", "\n## Try it\n"
SECTION = """
Three places A, B, C and three periods; indicators 1 and 2 in the first link, 1 and 3 in the second. A test works out
every number of this section anew, in fractions from the formulas and through the package.

Volumes x, and the scores two experts gave in each link:

{volumes}

{scores}

**Weights.** α of link 0: {alpha_0_1} for indicator 1 and {alpha_0_2} for 2. Of link 1: {alpha_1_1} for 1 and
{alpha_1_3} for 3.

**Points.** Link 0 has period 0 as its reference: p_A = {alpha_0_1} · {x_1_0}/{total_1_0} + {alpha_0_2} ·
{x_2_0}/{total_2_0} = {p_A_0} of P_r = {P_0}, so A has {points_0_A} points of {level_0}. Link 1 has period 1 as its
reference, where the level is {level_1}: p_A = {alpha_1_1} · {x_1_1}/{total_1_1} + {alpha_1_3} · {x_3_1}/{total_3_1} =
{p_A_1} of P_r = {P_1}, and A has {points_1_new_A} points under the new basket.

{points}

**Position.** The share S of A is {share_0_A} in period 0 and {share_1_A} in period 1; of all places it is {share_1}.

**Link.** The nation does not move; a place moves by λ, the points under the new basket less those under the old:

{link_effects}

**Growth.** The nation grows by {growth_1} and by {growth_2}, over both periods by {growth_02}. Like for like:

{growths}

B's points go from {points_1_B} to {points_2_B}, by {raw_B}: that is more than its growth of {growth_12_B}, for the link
gave it {lambda_B}.

**Contributions** from period 0 to period 2, up to period 1 under the old basket and from there under the new:

{contributions}

The effective weight of indicator 1 is {omega_0_1} at the end of link 0, where it was given {alpha_0_1}.
"""


def shown(number: Fraction) -> str:
    """A number as the page prints it: a decimal where that is exact, else a fraction with its first digits."""
    left = number.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    if left == 1:
        text = f"{float(number):.10f}".rstrip("0").rstrip(".")
    else:
        text = f"{number.numerator}/{number.denominator} ({float(number):.4g})"
    return text.replace("-", "−")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def row(name: str, of: Callable[[str], Fraction], *, total: bool = True) -> list[str]:
    """A line of a table: a number per place, and their sum."""
    found = [of(place) for place in PLACES]
    return [name, *map(shown, found), *([shown(sum(found, Fraction(0)))] if total else [])]


def numbers() -> dict[str, str]:
    """Every number of the section, by its name in the text."""
    case, (t0, t1, t2), given = main_case(), DAYS[:3], EXAMPLE["main"]["data"]["experts"]
    alpha = {
        (link, child): value
        for link, of in given.items()
        for (_, _, child), value in exact_alphas(scores("root", of)).items()
    }
    level = [case.level([t], case.at(t)) for t in (t0, t1, t2)]
    found = {f"alpha_{link}_{child}": str(value) for (link, child), value in alpha.items()}
    for j, t in (("1", 0), ("2", 0), ("1", 1), ("3", 1)):
        found[f"total_{j}_{t}"] = shown(case.mean_total(j, [DAYS[t]]))
        found[f"x_{j}_{t}"] = shown(case.mean_x("A", j, [DAYS[t]]))
    found |= {f"level_{t}": shown(level[t]) for t in (0, 1)}
    found |= {f"P_{k}": shown(sum((case.p(c, [t], k) for c in PLACES), Fraction(0))) for k, t in ((0, t0), (1, t1))}
    growth = {
        place: (
            _there(case.growth(place, t1, t0)),
            _there(case.growth(place, t2, t1)),
            _there(case.growth(place, t2, t0)),
        )
        for place in PLACES
    }
    places = ["", *PLACES]
    found |= {
        "p_A_0": shown(case.p("A", [t0], 0)),
        "p_A_1": shown(case.p("A", [t1], 1)),
        "points_0_A": shown(case.points("A", [t0], 0)),
        "points_1_new_A": shown(case.points("A", [t1], 1)),
        "points_1_B": shown(case.points("B", [t1], 0)),
        "points_2_B": shown(case.points("B", [t2], 1)),
        "raw_B": shown(case.points("B", [t2], 1) / case.points("B", [t1], 0) - 1),
        "growth_12_B": shown(growth["B"][1]),
        "lambda_B": shown(case.link_effect("B", 1)),
        "share_0_A": shown(_there(case.share("A", t0, 0))),
        "share_1_A": shown(_there(case.share("A", t1, 0))),
        "share_1": shown(sum((_there(case.share(place, t1, 0)) for place in PLACES), Fraction(0))),
        "growth_1": shown(level[1] / level[0] - 1),
        "growth_2": shown(level[2] / level[1] - 1),
        "growth_02": shown(level[2] / level[0] - 1),
        "omega_0_1": shown(_omega(alpha["0", "1"], alpha["0", "2"])),
        "volumes": _volumes(),
        "scores": table(
            ["scores", "expert 1", "expert 2"],
            [
                [f"link {link}, indicator {child}", *map(str, of)]
                for link, by in given.items()
                for child, of in by.items()
            ],
        ),
        "points": table(
            ["points", *PLACES, "nation"],
            [
                row("period 0", lambda place: case.points(place, [t0], 0)),
                row("period 1", lambda place: case.points(place, [t1], 0)),
                row("period 1, new basket", lambda place: case.points(place, [t1], 1)),
                row("period 2", lambda place: case.points(place, [t2], 1)),
            ],
        ),
        "link_effects": table([*places, "sum"], [row("λ", lambda place: case.link_effect(place, 1))]),
        "growths": table(
            ["growth", *PLACES],
            [
                row(name, lambda place, at=at: growth[place][at], total=False)
                for at, name in enumerate(("period 0 to 1", "period 1 to 2", "period 0 to 2"))
            ],
        ),
        "contributions": table(
            ["points", *PLACES, "nation"],
            [
                *(row(f"indicator {j}", lambda place, j=j: case.contribution(place, j, t2, t0)) for j in "123"),
                row("λ", lambda place: case.link_effect(place, 1)),
                row("change of points", lambda place: case.points(place, [t2], 1) - case.points(place, [t0], 0)),
            ],
        ),
    }  # fmt: skip
    return found


def _there(number: Fraction | None) -> Fraction:
    assert number is not None
    return number


def _omega(first: Fraction, second: Fraction) -> Fraction:
    case = main_case()
    moved = [
        weight * case.mean_total(j, [DAYS[1]]) / case.mean_total(j, [DAYS[0]])
        for j, weight in (("1", first), ("2", second))
    ]
    return moved[0] / sum(moved)


def _volumes() -> str:
    given = EXAMPLE["main"]["data"]["x"]
    rows = [[f"indicator {j}, period {t}", *map(str, x), str(sum(x))] for j, by in given.items() for t, x in by.items()]
    return table(["volumes", *PLACES, "nation"], rows)


def section() -> str:
    """The section as it has to stand in the page."""
    return SECTION.format(**numbers())


def written(page: str) -> str:
    """The page with the section in it, before the one that begins with `END`."""
    before, _, after = page.partition(END)
    return before.partition(BEGIN)[0].rstrip("\n") + "\n\n" + BEGIN + section() + END + after


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
