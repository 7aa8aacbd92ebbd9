"""The two files of a proposal as plain data: everything copied from the closed campaign but what was decided.

Reads the registered campaign and experiment. Returns new data. Never touches what it copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

from campanile.improve.closed import Closed
from campanile.improve.decide import Next
from campanile.improve.outlook import Metric, Sizes
from campanile.improve.parts import Parting
from campanile.improve.today import Today
from campanile.spec.fields import percent, share

Data = dict[str, Any]
#: Where the hour goes when timing is the factor.
_EVENING = time(19, 30)
CURRENT = "current"
#: A smaller lift cannot be written down: a hundredth of a point, or of the currency's unit.
LEAST_LIFT = 0.0002
_ARMS = {"offer": "smaller", "message": "other"}


def plain(value: object) -> Any:
    """A copy of plain data; floats become exact decimals.

    >>> plain({"a": [0.5, {"b": "x"}]})
    {'a': [Decimal('0.5'), {'b': 'x'}]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


#: The order in which people write the keys of a campaign and its experiment.
_KEYS = (
    "objective", "topic", "target", "offer", "timing", "channel", "arms", "costs", "priority", "hypothesis", "split",
    "stratify", "primary", "secondary", "cuts", "guards", "adjust", "monitor", "alpha", "power", "compare", "decide",
    "from", "who", "except", "one_per", "keep", "stage", "segment", "did", "where", "in", "kind", "amount", "off",
    "min_spend", "valid", "code", "start", "at", "every", "until", "again", "remind", "clock", "quiet", "use",
    "message", "metric", "window", "baseline", "expect", "control", "roll_out", "stop",
)  # fmt: skip


def in_order(value: Any) -> Any:
    """The data with its keys in the order in which people write them; keys of the shop's own keep theirs.

    >>> list(in_order({"timing": {}, "target": {"except": [], "who": []}})["target"])
    ['who', 'except']
    """
    if isinstance(value, list):
        return [in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    places = {key: place for place, key in enumerate(_KEYS)}
    return {key: in_order(value[key]) for key in sorted(value, key=lambda key: places.get(key, len(places)))}


def smaller_offer(offer: Mapping[str, Any]) -> Data | None:
    """The offer at half its value; None when it has none that could be halved.

    >>> smaller_offer({"kind": "coupon", "amount": 50, "min_spend": 199})
    {'kind': 'coupon', 'amount': 25, 'min_spend': 199}
    >>> smaller_offer({"kind": "percent", "off": "10%"}), smaller_offer({"kind": "content"})
    ({'kind': 'percent', 'off': '5%'}, None)
    """
    if offer["kind"] == "coupon":
        half = Decimal(str(offer["amount"])) / 2
        return {**offer, "amount": int(half) if half >= 2 else half} if half > 0 else None
    if offer["kind"] == "percent":
        return {**offer, "off": percent(share(offer["off"]) / 2)}
    return None


def campaign_data(  # noqa: PLR0913, PLR0917 - what was decided, each by name
    found: Closed, arm: str, nxt: Next, parting: Parting | None, today: Today, day: date
) -> Data:
    """The data of campaigns/proposed/NAME.yaml."""
    data: Data = plain(found.campaign)
    change = (data.pop("arms", None) or {}).get(arm) or {}
    data["offer"] = change.get("offer", data["offer"])
    data["channel"] = {**data["channel"], "message": change.get("message", data["channel"]["message"])}
    data["timing"] = _on(data["timing"], day)
    if nxt.kind == "follow_up":
        return _follow_up(data, found)
    if nxt.factor == "target" and parting is not None:
        data["target"] = _without(data["target"], parting)
    elif nxt.factor == "channel":
        data["channel"]["use"] = next(iter(today.media))
        data["costs"] = {key: value for key, value in data.get("costs", {}).items() if key != "per_message"}
        data = {key: value for key, value in data.items() if key != "costs" or value}
    elif nxt.factor == "timing":
        data["timing"]["at"] = f"{_EVENING:%H:%M}"
    elif nxt.factor in _ARMS:
        data["arms"] = _arms(data, nxt, today)
    return data


def _on(timing: Data, day: date) -> Data:
    """The timing from another day on; a repeating campaign runs as long as it did.

    >>> _on({"start": "2026-03-05", "every": "1w", "until": "2026-03-26"}, date(2026, 4, 9))
    {'start': '2026-04-09', 'every': '1w', 'until': '2026-04-30'}
    """
    moved = {**timing, "start": day.isoformat()}
    if "until" in timing:
        lasted = date.fromisoformat(timing["until"]) - date.fromisoformat(timing["start"])
        moved["until"] = (day + lasted).isoformat()
    return moved


def evening_is_free(timing: Mapping[str, Any]) -> bool:
    """Whether a campaign that goes out by day could go out in the evening, outside its quiet hours.

    >>> evening_is_free({"at": "10:30"}), evening_is_free({"at": "18:00"})
    (True, False)
    >>> evening_is_free({"at": "10:30", "quiet": "19:00-09:00"})
    False
    """
    if time.fromisoformat(timing["at"].zfill(5)) >= time(15):
        return False
    quiet = timing.get("quiet", "21:00-09:00")
    if quiet == "none":
        return True
    first, last = (time.fromisoformat(part.strip().zfill(5)) for part in quiet.split("-"))
    return not (first <= _EVENING < last if first < last else first <= _EVENING or last > _EVENING)


def _arms(data: Data, nxt: Next, today: Today) -> Data:
    """Two arms that differ in one thing."""
    if nxt.factor == "offer":
        return {CURRENT: {"offer": data["offer"]}, _ARMS["offer"]: {"offer": smaller_offer(data["offer"])}}
    message = data["channel"]["message"]
    return {CURRENT: {"message": message}, _ARMS["message"]: {"message": today.messages[0]}}


def _without(target: Data, parting: Parting) -> Data:
    """The target without the parts that are dropped."""
    levels = [level_value(word.level) for word in parting.dropped]
    return {**target, "except": [*target.get("except", []), {parting.cut: levels}]}


def level_value(level: str) -> object:
    """A level as it is written in a target.

    >>> level_value("3"), level_value("skincare"), level_value("true")
    (3, 'skincare', True)
    """
    if level in {"true", "false"}:
        return level == "true"
    return int(level) if level.lstrip("-").isdigit() else level


def _follow_up(data: Data, found: Closed) -> Data:
    """The campaign for those who were written to and did not buy: content, no further discount."""
    window = str(found.terms.experiment.primary.window)
    written = {"did": "contacted", "where": {"campaign": found.name}, "in": "90d"}
    target = data["target"]
    kept = [*target.get("except", []), {"did": "order", "in": window}]
    data["target"] = {**target, "who": [*target.get("who", []), written], "except": kept}
    data["offer"] = {"kind": "content"}
    return data


def experiment_data(found: Closed, campaign: Data, sizes: Sizes, metric: Metric, hypothesis: str) -> Data:
    """The data of experiments/proposed/NAME.yaml."""
    data: Data = plain(found.terms.spec["experiment"])
    data.pop("compare", None)
    data["hypothesis"] = hypothesis
    data["split"] = split_of(tuple(campaign.get("arms") or ("treatment",)), sizes.control)
    primary = {key: value for key, value in data["primary"].items() if key not in {"baseline", "expect"}}
    if metric.baseline > 0:
        rate = metric.variance is None
        primary["baseline"] = figure(metric.baseline, rate=rate)
        # An expectation is of something: nobody registers that nothing will happen.
        if metric.lift >= LEAST_LIFT:
            primary["expect"] = figure(metric.expected, rate=rate)
    data["primary"] = primary
    return data


def split_of(arms: tuple[str, ...], control: float) -> Data:
    """Shares in percent, the arms alike.

    >>> split_of(("current", "smaller"), 0.1)
    {'control': '10%', 'current': '45%', 'smaller': '45%'}
    """
    part = Decimal(str(control))
    return {"control": percent(part), **dict.fromkeys(arms, percent((1 - part) / len(arms)))}


def figure(value: float, *, rate: bool) -> object:
    """A figure of the primary metric as a file has it: to a hundredth of a point, or of the currency's unit.

    >>> figure(0.0469, rate=True), figure(12.345, rate=False)
    ('4.69%', Decimal('12.35'))
    """
    if rate:
        return percent(Decimal(f"{max(value, 0.0001):.4f}"))
    return Decimal(f"{value:.2f}")
