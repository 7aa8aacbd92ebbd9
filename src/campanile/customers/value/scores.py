"""Scores that were made elsewhere: what was known of each customer at a moment, and whether it is too old to be used.

They come in the table `score`: a row says of one customer at one moment what some scores were, and their version. All
rows are kept, so a selection at a past date sees the scores of that date. A score in a plain column of customers has no
date; nobody can say how old it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir

from campanile.customers.database import SCORES, CustomerDatabase
from campanile.customers.orders import before
from campanile.customers.tables import CUSTOMERS, SCORE, columns_of
from campanile.customers.zones import shop_day
from campanile.spec.project import Project

AGE = "score_age_days"
_KEYS = ("customer_id", "at", "version")


@dataclass(frozen=True)
class ScoreVersion:
    """One version of one score: its newest moment, and how many customers have had it. No version is ""."""

    name: str
    version: str
    as_of: datetime
    customers: int


def score_names() -> tuple[str, ...]:
    """Every score that the table `score` can hold."""
    return tuple(name for name in columns_of(SCORE) if name not in _KEYS)


def imported(database: CustomerDatabase) -> tuple[str, ...]:
    """The scores that the shop's table `score` has."""
    if SCORE not in database.tables():
        return ()
    there = database.table(SCORE).columns
    return tuple(name for name in score_names() if name in there)


def latest(project: Project, database: CustomerDatabase, as_of: datetime) -> ir.Table | None:
    """customer_id, the scores as known at a moment, and `score_age_days`; None when the shop imports no such table.

    A score older than the setting allows is unknown. Of several at one moment the one with the last version counts. The
    age is that of the customer's newest row, in calendar days of the shop, also where the row is too old to be used.
    """
    names = imported(database)
    if not names:
        return None
    rows = before(database.table(SCORE), as_of)
    newest = rows.group_by("customer_id").agg(newest=rows["at"].max())
    found = newest.select("customer_id", **{AGE: _age(project, as_of, newest.newest)})
    for name in names:
        one = _latest_of(rows, name)
        fresh = _age(project, as_of, one["at"]) <= project.settings.policy.scores.max_age
        one = one.filter(fresh).select("customer_id", value=one[name])
        joined = found.left_join(one, "customer_id")
        found = joined.select(found, **{name: joined["value"]})
    return found


def _latest_of(rows: ir.Table, name: str) -> ir.Table:
    """Of each customer the last row that knows this score."""
    known = rows.filter(rows[name].notnull())
    order = [known["at"].desc(), *([known.version.desc(nulls_first=False)] if "version" in known.columns else [])]
    place = ibis.row_number().over(group_by="customer_id", order_by=[*order, known[name].desc()])
    ranked = known.mutate(place=place)
    return ranked.filter(ranked["place"] == 0)


def _age(project: Project, as_of: datetime, at: ir.TimestampColumn) -> ir.IntegerValue:
    today = ibis.date(as_of.astimezone(project.zone).date())
    age: ir.IntegerValue = today.delta(shop_day(at, project.zone), unit="day").cast("int64")
    return age


def note_scores(database: CustomerDatabase, as_of: datetime) -> None:
    """Writes down which versions of which scores were known at the moment of the profile."""
    found = [row for name in imported(database) for row in _versions(before(database.table(SCORE), as_of), name)]
    database.store_own(SCORES, ibis.memtable(found, schema=database.own(SCORES).schema()))


def _versions(rows: ir.Table, name: str) -> Iterator[Mapping[str, object]]:
    version = rows.version if "version" in rows.columns else ibis.null("string")
    known = rows.filter(rows[name].notnull()).mutate(version=version)
    grouped = known.group_by("version").agg(as_of=known["at"].max(), customers=known.customer_id.nunique())
    for row in grouped.order_by("as_of", "version").to_pyarrow().to_pylist():
        yield row | {"name": name, "version": row["version"] or ""}


def versions(database: CustomerDatabase) -> tuple[ScoreVersion, ...]:
    """Which versions of which scores the profile knows."""
    rows = database.own(SCORES).order_by("name", "as_of", "version").to_pyarrow().to_pylist()
    return tuple(ScoreVersion(**row | {"as_of": row["as_of"].replace(tzinfo=UTC)}) for row in rows)


def refused(project: Project, database: CustomerDatabase, as_of: datetime) -> dict[str, tuple[str, str]]:
    """The scores that no selection at this moment may use, each with what is wrong and the cure."""
    settings = project.settings.policy.scores
    plain = set(database.table(CUSTOMERS).columns) & set(score_names())
    found = {}
    if settings.undated == "refuse":
        cure = "import it in the table score with its date, or write policy: scores: {undated: accept}"
        found = {name: (f"the score {name} has no date, so nobody knows how old it is", cure) for name in plain}
    for name, last in _newest(versions(database)).items():
        days = (as_of.astimezone(project.zone).date() - last.as_of.astimezone(project.zone).date()).days
        if name not in plain and days > settings.max_age:
            found[name] = stale(last, days, settings.max_age)
    return found


def stale(score: ScoreVersion, days: int, max_age: int) -> tuple[str, str]:
    """What is wrong with a score of that age, and the cure.

    >>> stale(ScoreVersion("p_churn", "v3", datetime(2026, 2, 1), 900), 28, 14)[0]
    'the score p_churn (v3) is 28 days old, the oldest that may be used is 14 days'
    """
    named = f"{score.name} ({score.version})" if score.version else score.name
    cure = "score the customers again and import the table score, or raise policy: scores: {max_age: …}"
    return f"the score {named} is {days} days old, the oldest that may be used is {max_age} days", cure


def _newest(known: Sequence[ScoreVersion]) -> dict[str, ScoreVersion]:
    """The last version of each score."""
    return {score.name: score for score in sorted(known, key=lambda score: (score.as_of, score.version))}
