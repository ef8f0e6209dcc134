"""How each number of an explanation follows from the others, in words and signs, by the names of its keys."""

FORMULAS = {
    "weight": "product of the alphas on the indicator's path; beta: sum of weight over the node's "
    "indicators; weight_in_node = weight / beta",
    "relative": "periods[].indicators[]: relative = share × national_relative, which is the entity's "
    "volume ÷ the national mean over the link's reference; where the national total is 0 "
    "share is null and relative 0",
    "period_points": "points = Σ scale × weight_in_node × relative over the indicators, scale and weights of "
    "the period's link; composite_points = Σ composite_scale × weight × relative",
    "points": "mean of periods[].points of the span over the periods whose link has the node in its "
    "basket; composite_points: the mean over all periods of the span, 0 where the node is "
    "outside",
    "share": "inside one link Σ weight_in_node × (Σ share × national_relative ÷ Σ national_relative), "
    "inner sums over the span's periods; indicators with Σ national_relative = 0 are left out "
    "and the other weights divided by their sum. Over several links the mean of these, each "
    "weighing as many periods as the link has in the span",
    "imputed_share": "the same with imputed_share in place of share, ÷ share; 0 where share is 0, but 1 where "
    "estimates are all there is",
    "points_share": "points ÷ nation.points; points_share_change_pp = 100 × (points_share − base.points_share)",
    "chained_points": "mean over the span's periods of points × Π points_before ÷ points_after over the links "
    "from the second listed up to the period's own; a link where either is null or 0 cannot "
    "be crossed",
    "growth_yoy": "number.chained_points ÷ base.chained_points − 1; null on a base of 0 and across a link "
    "that cannot be crossed. Inside one link points ÷ base.points − 1",
    "growth": "growth[]: value = (now ÷ then)^(1 ÷ years) − 1, the levels of this span and of the one it is compared "
    "with; where a link lies between the two they are chained, as chained_points is, from the link of "
    "the earlier one; else they are the published points. cagr: since the first whole year",
    "points_before": "links[]: Σ scale × weight_in_node × before over the indicators of the link before, with "
    "its scale and weights; before is the entity's mean volume over this link's reference ÷ "
    "the reference mean of the link before",
    "points_after": "links[]: Σ scale × weight_in_node × after, with this link's; after is the same volume ÷ "
    "this link's reference mean",
    "link_effect_points": "mean over the span's periods of Σ (points_after − points_before) over the links from the "
    "second listed up to the period's own, less the same of the base's periods; a link that "
    "brings the node in, or takes it out, has none",
    "contribution_points": "of an indicator: (its part of points − its part of base.points) − (what links moved its "
    "part by), each part a mean as above; of a node: Σ over the indicators under it",
    "change": "number.points − base.points = Σ contribution_points + link_effect_points + remainder; "
    "remainder is what the rounding of floats leaves",
    "contribution_pp": "100 × contribution_points ÷ nation.base_points; growth_pp = 100 × contribution_points ÷ "
    "base.points",
    "by_node": "points, share and growth_yoy of a node under the one explained: as above, with "
    "links[].scales[node] in place of scale and weight ÷ the sum of weight over its indicators in "
    "place of weight_in_node",
    "in_root": "the same in points of the root, as the contribution tables have it: composite_scale in "
    "place of scale, weight in place of weight_in_node, means over all periods of a span; "
    "here an indicator that enters at a link comes from 0, so that its after is a link "
    "effect. contribution_pp = 100 × contribution_points ÷ nation.root_base_points; "
    "contribution_rate = contribution_points ÷ (nation.root_points − "
    "nation.root_base_points), null when that is below 1 % of nation.root_points",
    "rank": "1 + the number of ranking.values above the entity's own, all rounded to 12 significant "
    "digits; rank_before the same of ranking.base_values; rank_change = rank_before − rank",
    "deliveries": "rows_used = rows − rows_rejected, of the whole file; rows_of_place: the accepted rows of "
    "the entity, by indicator; rejected_of_place: the rejected rows that name it; rejected_unplaced: those that name "
    "no place of the index, so that nobody can tell. These three with --deliveries",
}
