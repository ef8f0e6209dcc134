"""Parts of an explanation as plain mappings: whom an entity is ranked among, a link, a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dci_pipeline.trail.facts import Moment, Stretch
from dci_pipeline.trail.levels import points_of, reference_points, total

Row = Mapping[str, object]

_SIGNIFICANT = 12


def ranking(row: Row, known: Mapping[str, float | None], known_before: Mapping[str, float | None]) -> dict[str, object]:
    """Whom the entity is ranked among, with their points by code, now and in the base, and how many are above."""
    own, rank = as_float(row, "points"), row.get("rank")
    # A type without ranks has nobody to stand among.
    among: Mapping[str, float | None] = known if rank is not None or own is None else {}
    values = {code: value for code, value in sorted(among.items()) if value is not None}
    told: dict[str, object] = {
        "type": row.get("entity_type"),
        "entities": len(values),
        "above": None,
        "equal": None,
        "values": values,
        "base_values": {
            code: value for code, value in sorted(known_before.items()) if value is not None and code in among
        },
    }
    if own is not None and rank is not None:
        comparable = [float(f"{value:.{_SIGNIFICANT - 1}e}") for value in values.values()]
        mine = float(f"{own:.{_SIGNIFICANT - 1}e}")
        told["above"] = sum(1 for value in comparable if value > mine)
        told["equal"] = sum(1 for value in comparable if value == mine)
    return told


def link_line(stretch: Stretch, before: Stretch | None) -> dict[str, object]:
    """One link: scales, weights with their paths, and the entity over its reference; `before` is the link before."""
    old, new = (None, None) if before is None else reference_points(before, stretch)
    basket = stretch.basket
    told: dict[str, object] = {
        "link": stretch.link,
        "reference_start": stretch.reference[0],
        "reference_end": stretch.reference[1],
        "in_basket": basket is not None,
        "scale": basket.scale if basket else None,
        "composite_scale": basket.composite_scale if basket else None,
        "beta": basket.beta if basket else None,
        "scales": dict(stretch.scales),
        "points_before": old,
        "points_after": new,
        "before": dict(stretch.before),
        "after": dict(stretch.after),
    }
    told["indicators"] = [
        {
            "indicator": leaf.indicator,
            "weight": leaf.weight,
            "weight_in_node": leaf.weight_in_node,
            "path": [{"node": node, "child": child, "alpha": alpha} for node, child, alpha in leaf.path],
        }
        for leaf in (basket.leaves.values() if basket else ())
    ]
    return told


def moment_line(moment: Moment, span: str, stretches: Sequence[Stretch]) -> dict[str, object]:
    """One period of a span: its points, and by indicator what they are made of."""
    basket = next(item.basket for item in stretches if item.link == moment.link)
    points = points_of(moment, basket)
    composite = None
    if basket is not None:
        parts = [
            None if (x := moment.cells[name].relative) is None else basket.composite_scale * leaf.weight * x
            for name, leaf in basket.leaves.items()
        ]
        composite = total(parts)
    return {
        "period": moment.period,
        "span": span,
        "link": moment.link,
        "points": total(points.values()) if basket else None,
        "composite_points": composite,
        "indicators": [
            {
                "indicator": name,
                "share": cell.share,
                "national_relative": cell.national_relative,
                "relative": cell.relative,
                "points": points.get(name),
                "imputed_share": cell.imputed_share,
                "obs_status": cell.obs_status,
            }
            for name, cell in moment.cells.items()
        ],
    }


def as_float(row: Row | None, *names: str) -> float | None:
    """The first of these columns that the row has, as a float."""
    for name in names:
        value = None if row is None else row.get(name)
        if isinstance(value, int | float):
            return float(value) + 0.0  # a minus zero is plain
    return None
