"""Taking stock of what partners have delivered. Landing itself is warehouse.deliveries."""

from __future__ import annotations

from dci_pipeline.data_files import content_hash
from dci_pipeline.periods import Period
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.work import CheckResult, Outcome, Work


def late_feeds(work: Work, period: Period) -> list[str]:
    """The feeds of the index that are not complete for a period, sorted."""
    used = sorted({str(node.feed) for node in work.framework.indicators})
    return [feed for feed in used if not take_stock(work, period, feed=feed).checks[0].passed]


def arrived(work: Work, period: Period, feed: str) -> dict[str, Delivery]:
    """The current delivery of each partner that the contract in force expects; one that has left counts no more."""
    expected = work.framework.contract(feed, period).partners
    found = deliveries.current(work.warehouse.layout, feed, period)
    return {partner: delivery for partner, delivery in found.items() if partner in expected}


def take_stock(work: Work, period: Period | None, *, feed: str) -> Outcome:
    """What has arrived for a feed × period: which partners have delivered, and which the contract still waits for."""
    assert period is not None
    contract = work.framework.contract(feed, period)
    delivered = deliveries.current(work.warehouse.layout, feed, period)
    found = {partner: delivery for partner, delivery in delivered.items() if partner in contract.partners}
    unexpected = sorted(set(delivered) - set(found))
    late = [partner for partner in contract.partners if partner not in found]
    percent = 100.0 * (len(contract.partners) - len(late)) / len(contract.partners)
    # An index that takes provisional numbers goes on without a late feed, and says so; any other waits.
    goes_on = work.framework.late_feed == "provisional"
    check = CheckResult(
        "completeness",
        percent >= contract.completeness.percent,
        "warning" if goes_on else contract.completeness.severity,
        f"{len(contract.partners) - len(late)} of {len(contract.partners)} partners have delivered",
        tuple({"partner": partner, "name": contract.partners[partner].get("name_en", "")} for partner in late),
    )
    return Outcome(
        ("feeds", feed),
        period,
        "unchanged",
        sum(item.rows for item in found.values()),
        content_hash(sorted((item.partner, item.sha256) for item in found.values())),
        (check,),
        {
            "partners": ", ".join(sorted(found)),
            "waiting_for": ", ".join(late),
            "not_expected": ", ".join(unexpected),
            "contract_version": contract.version,
            "deliveries": ", ".join(f"{item.partner} {item.sha256[:12]}" for item in found.values()),
        },
    )
