"""What the service counts, as Prometheus reads it. No label holds anything of a person."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from starlette.requests import Request

from campanile.responses.desk import Desk

_HELP = {
    "answers": "Requests by address and status.",
    "events_kept": "Events written durably, by provider.",
    "events_known_already": "Events that came again, by provider.",
    "hits_lost": "Clicks and opens that could not be written.",
    "processed": "What processing of the inbox came to.",
    "coupons": "Coupons by what the till was told.",
}


def metrics_text(desk: Desk) -> str:
    """Every counter, and how much waits."""
    return "\n".join(_lines(desk)) + "\n"


def private(request: Request) -> bool:
    """Whether the request came from this machine or its private network, behind every trusted proxy."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _lines(desk: Desk) -> Iterator[str]:
    yield "# HELP campanile_backlog Events that wait to be understood."
    yield "# TYPE campanile_backlog gauge"
    yield f"campanile_backlog {desk.backlog}"
    for name, text in _HELP.items():
        yield f"# HELP campanile_{name}_total {text}"
        yield f"# TYPE campanile_{name}_total counter"
        for (counted, label), count in sorted(desk.counts.items()):
            if counted == name:
                yield f'campanile_{name}_total{{what="{label}"}} {count}'
