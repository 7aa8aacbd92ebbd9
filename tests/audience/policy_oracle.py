"""The whole contact policy in plain Python loops: the one line that loses each customer. No code of the product's.

A shop here is plain data: customers, contacts, messages that other plans will send, customers that other campaigns
have, suppressed addresses, the policy as campanile.yaml has it, and the campaign as its file has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

SHOP = ZoneInfo("Asia/Shanghai")
LENGTHS = {"h": 3600, "d": 86400, "w": 604800}
DEFAULT_QUIET = "21:00-09:00"


@dataclass
class Shop:
    """Times are naive UTC."""

    customers: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    committed: list[dict[str, Any]]
    rivals: list[dict[str, Any]]
    suppressed: list[dict[str, Any]]
    policy: dict[str, Any]
    campaign: dict[str, Any]
    as_of: datetime


def seconds(length: str) -> timedelta:
    return timedelta(seconds=int(length[:-1]) * LENGTHS[length[-1]])


def part(share: str) -> Fraction:
    return Fraction(share.removesuffix("%")) / 100


def lost_lines(shop: Shop) -> dict[str, str]:
    """The line that loses each customer; who is eligible is not in it."""
    lost = {}
    for customer in shop.customers:
        line = first_line(shop, customer)
        if line:
            lost[customer["customer_id"]] = line
    seen: set[str] = set()
    for customer in sorted(shop.customers, key=lambda each: each["customer_id"]):
        name, address = customer["customer_id"], contact_point(shop, customer).lower()
        if name in lost:
            continue
        if address in seen:
            lost[name] = "same address"
        seen.add(address)
    return lost


def contact_point(shop: Shop, customer: Mapping[str, Any]) -> str:
    return str(customer["email" if shop.campaign["medium"] == "email" else "phone"])


def first_line(shop: Shop, customer: Mapping[str, Any]) -> str:
    medium = shop.campaign["medium"]
    if not customer["email_consent" if medium == "email" else "sms_consent"] or customer["do_not_contact"]:
        return "reachability"
    if {"channel": medium, "address": contact_point(shop, customer).lower()} in shop.suppressed:
        return "suppression"
    if shop.campaign["objective"] != "service":
        line = marketing_line(shop, customer)
        if line:
            return line
    return "" if some_minute(shop, customer) else "quiet hours"


def marketing_line(shop: Shop, customer: Mapping[str, Any]) -> str:
    name = customer["customer_id"]
    if held_out(shop, name):
        return "holdout"
    for scope in (shop.campaign["medium"], "all"):
        caps = shop.policy.get("caps", {}).get(scope, [])
        for cap in caps if isinstance(caps, list) else [caps]:
            if counted(shop, name, scope, seconds(cap["within"])) >= cap["at_most"]:
                return f"cap {scope} {cap['within']}"
    rule = shop.policy.get("marketing_share")
    if rule and rule["enforce"] == "exclude" and above_share(shop, name, rule):
        return "marketing share"
    day = due(shop, customer).replace(tzinfo=UTC).astimezone(SHOP).date()
    firsts = [each for each in shop.rivals if each["comes_first"]]
    if shop.policy.get("one_per_day", True) and any((r["customer_id"], r["day"]) == (name, day) for r in firsts):
        return "priority"
    return ""


def held_out(shop: Shop, name: str) -> bool:
    rule = shop.policy.get("holdout")
    if rule is None:
        return False
    day = shop.as_of.replace(tzinfo=UTC).astimezone(SHOP).date()
    drawn = {"yearly": str(day.year), "half-yearly": f"{day.year}-{2 if day.month >= 7 else 1}", "never": "once"}
    text = f"holdout:{rule['salt']}:{drawn[rule.get('renewed', 'yearly')]}:{name}"
    number = int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)
    return Fraction(number, 16**15) < part(rule["share"])


def counted(shop: Shop, name: str, scope: str, length: timedelta) -> int:
    """Marketing messages before the selection, and those of other plans around the moments of this wave."""
    past = [
        each
        for each in shop.contacts
        if each["customer_id"] == name
        and shop.as_of - length <= each["at"] < shop.as_of
        and each["purpose"] != "service"
        and scope in ("all", each["channel"])
    ]
    moments = [due(shop, each) for each in [*shop.customers, {"timezone": None}]]
    waiting = [
        each
        for each in shop.committed
        if each["customer_id"] == name
        and min(moments) - length < each["at"] < max(moments) + length
        and scope in ("all", each["channel"])
    ]
    return len(past) + len(waiting)


def above_share(shop: Shop, name: str, rule: Mapping[str, Any]) -> bool:
    length = seconds(rule["within"])
    sent = [e for e in shop.contacts if e["customer_id"] == name and shop.as_of - length <= e["at"] < shop.as_of]
    marketing = [each for each in sent if each["purpose"] != "service"]
    return bool(sent) and Fraction(len(marketing), len(sent)) > part(rule["at_most"])


def zone_of(shop: Shop, customer: Mapping[str, Any]) -> ZoneInfo:
    if shop.campaign["clock"] == "shop" or not customer["timezone"]:
        return SHOP
    try:
        return ZoneInfo(customer["timezone"])
    except (KeyError, ValueError):
        return SHOP


def due(shop: Shop, customer: Mapping[str, Any]) -> datetime:
    """Naive UTC."""
    local = datetime.combine(date.fromisoformat(shop.campaign["start"]), clock(shop.campaign["at"]))
    return local.replace(tzinfo=zone_of(shop, customer)).astimezone(UTC).replace(tzinfo=None)


def clock(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))


def some_minute(shop: Shop, customer: Mapping[str, Any]) -> bool:
    """Whether some minute lies outside quiet hours; minute after minute."""
    if shop.campaign["quiet"] == "none":
        return True
    start, end = map(clock, shop.campaign["quiet"].split("-"))
    length = seconds(shop.campaign["deadline"])
    everybody = [*shop.customers, {"timezone": None}]
    late = all(due(shop, each) + length <= shop.as_of for each in everybody)
    first = due(shop, customer)
    expiry = first + length
    minute = first if late else max(first, shop.as_of)
    while minute < expiry:
        local = minute.replace(tzinfo=UTC).astimezone(zone_of(shop, customer)).time()
        quiet = start <= local < end if start < end else local >= start or local < end
        if not quiet:
            return True
        minute += timedelta(minutes=1)
    return False
