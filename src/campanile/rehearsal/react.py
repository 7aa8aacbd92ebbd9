"""What simulated customers do after a campaign, with an effect that is known because it is put in.

The rest of the shop buys on as before. Everybody assigned, control included, buys with their own chance; who really
got the mail, with that chance plus the effect. Fates come from a keyed hash of the customer id, so they depend neither
on row order nor on who else was asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from campanile.spec.campaign import Offer

#: Days between the end of the shop's history and the send.
_PLANNED_AHEAD = 4


@dataclass(frozen=True)
class Effect:
    """What a rehearsal puts in.

    Attributes:
        baseline: Average chance that an assigned customer buys within the window without a mail.
        lift: How much a received mail adds to that chance, in points as a fraction (0.03 is three points).
        leave: Chance that somebody who got the mail unsubscribes.
    """

    baseline: float = 0.04
    lift: float = 0.03
    leave: float = 0.003


@dataclass(frozen=True)
class Truth:
    """What is true of the rehearsed campaign, to hold the readout against.

    Attributes:
        difference: Expected difference of the purchase rate per assigned customer: intention to treat, so people who
            never got their mail pull it below the effect that was put in.
        reached: Share of the treated arm that got the mail.
    """

    difference: float
    reached: float


def react(  # noqa: PLR0913 - what a customer's reaction depends on, each by name
    snapshot: Path,
    recipients: Collection[str],
    folder: Path,
    *,
    effect: Effect,
    offer: Offer,
    days: int,
    seed: int,
    zone: str,
) -> Truth:
    """The truth about customers whose orders, returns and opt-outs now lie in `folder` as further files of the shop.

    Args:
        snapshot: Assignment of the wave: customer_id, arm, due_at.
        recipients: Ids of customers whose mail arrived.
        folder: Where the shop's files lie; `*-after.csv` files are replaced.
        effect: What to put in.
        offer: A coupon lowers what its user pays.
        days: Length of the conversion window.
        seed: The same seed gives the same fates.
        zone: Time zone of the times in the files.
    """
    units = pq.read_table(snapshot, columns=["customer_id", "arm", "due_at"]).to_pandas().sort_values("customer_id")
    got = units["customer_id"].isin(set(recipients)).to_numpy()
    draw = _Fates(units["customer_id"], seed)
    chance = effect.baseline * (0.5 + draw("taste")) + np.where(got, effect.lift, 0.0)
    buys = draw("buys") < chance
    orders = _orders(units[buys], draw.of(buys), got[buys], offer=offer, days=days, zone=zone)
    others = _others(units, folder, days=days, zone=zone)
    _write(pd.concat([orders, others], ignore_index=True), folder / "orders-after.csv")
    _write(_returns(orders), folder / "returns-after.csv")
    _write(_leavers(units[got & (draw("leaves") < effect.leave)], zone), folder / "unsubscribes-after.csv")
    treated = (units["arm"] != "control").to_numpy()
    reached = float(got[treated].mean()) if treated.any() else 0.0
    return Truth(difference=effect.lift * reached, reached=reached)


class _Fates:
    """Uniform numbers below 1, one per customer and question, the same for any order of customers."""

    def __init__(self, ids: pd.Series, seed: int) -> None:
        self.ids, self.seed = ids, seed

    def __call__(self, question: str) -> np.ndarray:
        salted = f"{self.seed}:{question}:" + self.ids
        hashed = pd.util.hash_array(salted.to_numpy(dtype=object), hash_key="campanile-fates-", categorize=False)
        return np.asarray(hashed >> np.uint64(11), dtype=np.float64) / 2**53

    def of(self, some: np.ndarray) -> _Fates:
        """The fates of some of the customers."""
        return _Fates(self.ids[some], self.seed)


def _orders(  # noqa: PLR0913
    buyers: pd.DataFrame, draw: _Fates, got: np.ndarray, *, offer: Offer, days: int, zone: str
) -> pd.DataFrame:
    late = -np.log1p(-draw("when") * (1 - np.exp(-3))) * days / 3
    at = buyers["due_at"].to_numpy().astype("datetime64[s]") + (late * 86399).astype("timedelta64[s]")
    gross = np.exp(np.log(230) + 0.6 * np.sqrt(2) * _inverse_erf(draw("basket"))).round(2)
    amount, floor = float(offer.amount or 0), float(offer.min_spend or 0)
    discount = np.where(got & (gross >= max(floor, amount)), amount, 0.0)
    return pd.DataFrame(
        {
            "Order": "R" + buyers["customer_id"],
            "Customer": buyers["customer_id"],
            "Ordered": _local(at, zone),
            "Gross": gross,
            "Discount": discount,
            "Paid": (gross - discount).round(2),
            "State": "paid",
            "Channel": "web",
        }
    )


def _others(units: pd.DataFrame, folder: Path, *, days: int, zone: str) -> pd.DataFrame:
    """Orders until a day after the window of everybody who was not assigned: theirs of as long before, come again."""
    path = folder / "orders.csv"
    if not path.is_file():
        return pd.DataFrame()
    history = pd.read_csv(path, dtype=str, on_bad_lines="skip").drop_duplicates("Order")
    amounts = ("Gross", "Discount", "Paid")
    history = history.assign(**{name: pd.to_numeric(history[name], errors="coerce") for name in amounts})
    again = pd.to_datetime(history["Ordered"], errors="coerce") + pd.Timedelta(days=days + _PLANNED_AHEAD + 1)
    due = pd.Timestamp(_local(units["due_at"].to_numpy().astype("datetime64[s]"), zone).max())
    ahead = again.between(due - pd.Timedelta(days=_PLANNED_AHEAD), due + pd.Timedelta(days=days + 1), inclusive="left")
    kept = ahead & ~history["Customer"].isin(units["customer_id"])
    later = history.assign(Order="N" + history["Order"], Ordered=again.dt.strftime("%Y-%m-%d %H:%M:%S"))
    return later[kept].dropna(subset=["Customer", *amounts])


def _returns(orders: pd.DataFrame) -> pd.DataFrame:
    """Of every twenty-fifth order a part comes back a day later; the order still counts."""
    back = orders[orders["Order"].map(lambda order: pd.util.hash_array(np.array([order], dtype=object))[0] % 25 == 0)]
    later = pd.to_datetime(back["Ordered"]) + pd.Timedelta(days=1)
    return pd.DataFrame(
        {
            "Order": back["Order"],
            "Customer": back["Customer"],
            "Returned": later.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "Refund": (back["Paid"] * 0.4).round(2),
            "Reason": "quality",
        }
    )


def _leavers(units: pd.DataFrame, zone: str) -> pd.DataFrame:
    at = units["due_at"].to_numpy().astype("datetime64[s]") + np.timedelta64(1, "D")
    return pd.DataFrame({"Customer": units["customer_id"], "Left": _local(at, zone), "Channel": "email"})


def _local(at: np.ndarray, zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(at).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return np.asarray(local.strftime("%Y-%m-%d %H:%M:%S"))


def _inverse_erf(share: np.ndarray) -> np.ndarray:
    from scipy.special import erfinv

    return np.asarray(erfinv(2 * np.clip(share, 1e-12, 1 - 1e-12) - 1))


def _write(table: pd.DataFrame, path: Path) -> None:
    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), path)
