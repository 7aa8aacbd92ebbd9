"""Writes the files of a made-up shop as a real one would hand them over: several tables, UTF-8 names, some bad rows.

Everything is drawn from one seeded generator, so the same seed gives the same bytes. Nobody in it exists: addresses
end in `example`. China reserves no telephone numbers for fiction: these are well formed, with the prefix 145 of data
cards that nobody talks on, and only for channels that deliver nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

_FAMILY = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰涛明超秀霞平刚桂英华玉兰红梅婷雪琳晨宇轩浩然子涵梓怡欣诺一鸣思远嘉懿若曦𠮷喆"
_FOREIGN = ("José Núñez", "Zoë Łukasiewicz", "Þórdís Guðmundsdóttir", "Đặng Thị Hà", "Ольга Ёлкина", "O'Brien, Niamh")
_CITIES = (
    ("上海", 1),
    ("北京", 1),
    ("广州", 1),
    ("杭州", 2),
    ("成都", 2),
    ("西安", 2),
    ("绵阳", 3),
    ("衡阳", 3),
    ("天水", 4),
    ("延安", 4),
)
_CATEGORIES = ("skincare", "makeup", "haircare", "fragrance", "tools", "gifts")
_MAIL_HOSTS = ("mail.example", "post.example", "inbox.example")

_YEARS = 2


@dataclass(frozen=True)
class Shop:
    """What the generator knows about the shop that it has written, and the files do not say."""

    folder: Path
    seed: int
    customers: int
    bad_rows: int


def write_shop(folder: Path, *, as_of: datetime, customers: int, seed: int) -> Shop:
    """The shop that now lies in `folder` as CSV files: `customers` people and two years of events before `as_of`.

    Args:
        folder: Made if missing; files of the same name are replaced.
        as_of: Aware moment at which history ends. Times in the files are local to its zone.
        customers: How many people, before bad and doubled rows.
        seed: The same seed gives the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    people = _people(draw, customers, as_of)
    orders = _orders(draw, people, as_of)
    lines = _lines(draw, orders)
    tables = {
        "customers": people.drop(columns=["rate", "alive_until", "basket"]),
        "orders": orders.drop(columns=["items"]),
        "lines": lines,
        "returns": _returns(draw, orders, as_of),
        "visits": _visits(draw, people, as_of),
        "clicks": _clicks(draw, people, as_of),
        "contacts": _contacts(draw, people, as_of),
        "tickets": _tickets(draw, people, as_of),
        "unsubscribes": _unsubscribes(draw, people, as_of),
    }
    for name, table in tables.items():
        csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), folder / f"{name}.csv")
    bad = _spoil(folder, tables)
    return Shop(folder=folder, seed=seed, customers=customers, bad_rows=bad)


def _people(draw: np.random.Generator, count: int, as_of: datetime) -> pd.DataFrame:
    """One row a person; `rate`, `alive_until` and `basket` drive their purchases and are not written."""
    end = np.datetime64(as_of.replace(tzinfo=None), "s")
    age = draw.uniform(20, 365 * _YEARS + 270, count)
    registered = end - (age * 86400).astype("timedelta64[s]")
    lifetime = draw.exponential(450, count)
    cities = draw.choice(len(_CITIES), count, p=_shares(len(_CITIES)))
    index = np.arange(count)
    people = pd.DataFrame(
        {
            "Customer": [f"C{number:07d}" for number in index],
            "Name": _names(draw, count),
            "E-mail": [f"c{number:07d}@{_MAIL_HOSTS[number % 3]}" for number in index],
            "Mobile": [f"+86145{number:08d}" for number in index],
            "Gender": draw.choice(["female", "male", ""], count, p=[0.62, 0.30, 0.08]),
            "Born": _dates(end - (draw.uniform(18, 70, count) * 365.25 * 86400).astype("timedelta64[s]")),
            "City": [_CITIES[city][0] for city in cities],
            "City tier": [_CITIES[city][1] for city in cities],
            "Member level": draw.choice(["basic", "gold", "platinum"], count, p=[0.80, 0.16, 0.04]),
            "Joined": _dates(registered),
            "Mail consent": np.where(draw.random(count) < 0.86, "yes", "no"),
            "SMS consent": np.where(draw.random(count) < 0.55, "yes", "no"),
            "rate": draw.gamma(1.2, 6.0 / 1.2, count) / 365,
            "alive_until": np.minimum(registered + (lifetime * 86400).astype("timedelta64[s]"), end),
            "basket": draw.lognormal(np.log(220), 0.45, count),
        }
    )
    return _flaws(draw, people)


def _flaws(draw: np.random.Generator, people: pd.DataFrame) -> pd.DataFrame:
    """The same people with what real files have: no name, unusable and shared addresses."""
    chance = draw.random(len(people))
    people.loc[chance < 0.004, "Name"] = ""
    people.loc[(chance >= 0.004) & (chance < 0.012), "E-mail"] = "unknown"
    shared = people.index[(chance >= 0.012) & (chance < 0.018)]
    shared = shared[shared > 0]
    people.loc[shared, "E-mail"] = people["E-mail"].to_numpy()[shared - 1]
    return people


def _names(draw: np.random.Generator, count: int) -> list[str]:
    family = draw.integers(0, len(_FAMILY), count)
    given = draw.integers(0, len(_GIVEN), (count, 2))
    short = draw.random(count) < 0.3
    foreign = draw.random(count) < 0.02
    names = []
    for i in range(count):
        if foreign[i]:
            names.append(_FOREIGN[i % len(_FOREIGN)])
        else:
            names.append(_FAMILY[family[i]] + _GIVEN[given[i, 0]] + ("" if short[i] else _GIVEN[given[i, 1]]))
    return names


def _orders(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Orders by each person's own rate and lifetime; sleeping and lost customers come by themselves."""
    end = np.datetime64(as_of.replace(tzinfo=None), "s")
    start = np.maximum(people["Joined"].to_numpy().astype("datetime64[s]"), end - np.timedelta64(365 * _YEARS, "D"))
    days = np.maximum((people["alive_until"].to_numpy() - start) / np.timedelta64(1, "D"), 0)
    number = draw.poisson(people["rate"].to_numpy() * days)
    who = np.repeat(np.arange(len(people)), number)
    at = start[who] + (draw.random(len(who)) * days[who] * 86400).astype("timedelta64[s]")
    gross = people["basket"].to_numpy()[who] * draw.lognormal(0, 0.5, len(who))
    discount = np.where(draw.random(len(who)) < 0.25, gross * 0.15, 0)
    order = np.argsort(at, kind="stable")
    frame = pd.DataFrame(
        {
            "Customer": people["Customer"].to_numpy()[who],
            "Ordered": at,
            "Gross": gross.round(2),
            "Discount": discount.round(2),
            "Paid": (gross.round(2) - discount.round(2)).round(2),
            "State": draw.choice(["paid", "cancelled_by_hand", "unpaid"], len(who), p=[0.955, 0.025, 0.02]),
            "Channel": draw.choice(["web", "app", "store"], len(who), p=[0.45, 0.35, 0.20]),
            "items": 1 + draw.poisson(0.9, len(who)),
        }
    ).iloc[order]
    frame.insert(0, "Order", [f"O{position:08d}" for position in range(len(frame))])
    frame["Ordered"] = _times(frame["Ordered"].to_numpy())
    return frame.reset_index(drop=True)


def _lines(draw: np.random.Generator, orders: pd.DataFrame) -> pd.DataFrame:
    """Order lines whose amounts add up to what was paid, to the cent."""
    position = np.repeat(np.arange(len(orders)), orders["items"])
    weight = draw.uniform(0.5, 1.5, len(position))
    weight /= np.bincount(position, weight)[position]
    cents = np.floor(weight * orders["Paid"].to_numpy()[position] * 100).astype(np.int64)
    first = np.r_[True, position[1:] != position[:-1]]
    total = np.bincount(position, cents).astype(np.int64)
    cents[first] += np.round(orders["Paid"].to_numpy() * 100).astype(np.int64) - total
    category = draw.integers(0, len(_CATEGORIES), len(position))
    return pd.DataFrame(
        {
            "Order": orders["Order"].to_numpy()[position],
            "Line": np.arange(len(position)) - np.flatnonzero(first)[np.cumsum(first) - 1] + 1,
            "Customer": orders["Customer"].to_numpy()[position],
            "Ordered": orders["Ordered"].to_numpy()[position],
            "SKU": [
                f"{_CATEGORIES[c][:3].upper()}-{n:03d}"
                for c, n in zip(category, draw.integers(0, 120, len(position)), strict=True)
            ],
            "Category": np.array(_CATEGORIES)[category],
            "Pieces": 1 + draw.poisson(0.2, len(position)),
            "Amount": (cents / 100).round(2),
        }
    )


def _returns(draw: np.random.Generator, orders: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    paid = orders[orders["State"] == "paid"]
    back = paid[draw.random(len(paid)) < 0.04]
    part = np.where(draw.random(len(back)) < 0.5, 1.0, 0.4)
    at = back["Ordered"].to_numpy().astype("datetime64[s]") + draw.integers(2, 20, len(back)).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "Order": back["Order"].to_numpy(),
            "Customer": back["Customer"].to_numpy(),
            "Returned": _times(at),
            "Refund": (back["Paid"].to_numpy() * part).round(2),
            "Reason": draw.choice(["size", "quality", "late"], len(back)),
        }
    )
    known: pd.DataFrame = frame[at < np.datetime64(as_of.replace(tzinfo=None), "s")]
    return known


def _visits(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    who, at = _moments(draw, people, as_of, mean=6.0, days=365)
    return pd.DataFrame(
        {
            "Customer": who,
            "Visited": at,
            "Channel": draw.choice(["web", "app"], len(who)),
            "Minutes": draw.gamma(2, 3, len(who)).round(1),
            "Pages": 1 + draw.poisson(4, len(who)),
        }
    )


def _clicks(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    who, at = _moments(draw, people, as_of, mean=1.2, days=365)
    return pd.DataFrame(
        {"Customer": who, "Clicked": at, "Campaign": draw.choice(["spring", "summer", "singles-day"], len(who))}
    )


def _contacts(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    who, at = _moments(draw, people, as_of, mean=1.6, days=90)
    return pd.DataFrame(
        {
            "Customer": who,
            "Sent": at,
            "Channel": draw.choice(["email", "sms"], len(who), p=[0.8, 0.2]),
            "Campaign": draw.choice(["newsletter", "new-year"], len(who)),
            "Purpose": draw.choice(["marketing", "service"], len(who), p=[0.6, 0.4]),
        }
    )


def _tickets(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    who, at = _moments(draw, people, as_of, mean=0.06, days=180)
    return pd.DataFrame(
        {
            "Customer": who,
            "Opened": at,
            "Kind": draw.choice(["complaint", "question"], len(who)),
            "State": draw.choice(["open", "closed"], len(who), p=[0.3, 0.7]),
        }
    )


def _unsubscribes(draw: np.random.Generator, people: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    who, at = _moments(draw, people, as_of, mean=0.02, days=365)
    return pd.DataFrame({"Customer": who, "Left": at, "Channel": np.full(len(who), "email")})


def _moments(
    draw: np.random.Generator, people: pd.DataFrame, as_of: datetime, *, mean: float, days: int
) -> tuple[np.ndarray, np.ndarray]:
    """Customers and local times of events spread over the last `days`, more of them for people who buy often."""
    weight = people["rate"].to_numpy() / people["rate"].mean()
    number = draw.poisson(mean * np.minimum(weight, 5))
    who = np.repeat(np.arange(len(people)), number)
    at = np.datetime64(as_of.replace(tzinfo=None), "s") - (draw.random(len(who)) * days * 86400 + 60).astype(
        "timedelta64[s]"
    )
    order = np.argsort(at, kind="stable")
    return people["Customer"].to_numpy()[who][order], _times(at[order])


def _spoil(folder: Path, tables: dict[str, pd.DataFrame]) -> int:
    """How many bad lines were added to the files: what an import must keep out, with a reason."""
    orders, customers = tables["orders"], tables["customers"]
    next_year = (pd.Timestamp(orders["Ordered"].iloc[-1]) + timedelta(days=400)).strftime("%Y-%m-%d %H:%M:%S")
    bad: dict[str, list[str]] = {
        "customers": [",无名氏,nobody@mail.example,,,,,,,,,", 'C9999999,"unclosed,x', "C9999998,too,few"],
        "orders": [
            "O90000001,,2026-01-05 10:00:00,10.00,0,10.00,paid,web",
            "O90000002,C0000001,yesterday,10.00,0,10.00,paid,web",
            "O90000003,C0000002,2026-01-05 10:00:00,ten,0,ten,paid,web",
            f"O90000004,C0000003,{next_year},10.00,0,10.00,paid,web",
            "O90000005,C0000004,2026-01-05 10:00:00,10.00,0,10.00,paid,web,one,too,many",
            "O90000006,C0000005,1912-01-05 10:00:00,10.00,0,10.00,paid,web",
        ],
    }
    for name, lines in bad.items():
        with (folder / f"{name}.csv").open("a", encoding="utf-8", newline="") as file:
            file.writelines(line + "\n" for line in lines)
    doubled = {"orders": orders.head(25), "customers": customers.head(10)}
    _append(folder, doubled)
    return sum(map(len, bad.values()))


def _append(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        with (folder / f"{name}.csv").open("ab") as file:
            csv.write_csv(
                pa.Table.from_pandas(table, preserve_index=False), file, csv.WriteOptions(include_header=False)
            )


def _shares(count: int) -> np.ndarray:
    weight = 1.0 / np.arange(1, count + 1)
    return np.asarray(weight / weight.sum())


def _dates(moments: np.ndarray) -> np.ndarray:
    return np.datetime_as_string(moments.astype("datetime64[s]"), unit="D")


def _times(moments: np.ndarray) -> np.ndarray:
    if not len(moments):  # numpy replaces nothing in nothing only with an error
        return np.empty(0, dtype=str)
    return np.char.replace(np.datetime_as_string(moments.astype("datetime64[s]"), unit="s"), "T", " ")
