"""A readout of millions: five metrics and ten cuts, by the product and by SQL written for it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from benchmarks.assigned import (
    CUTS,
    DUE,
    READ_AT,
    home,
    messages,
    open_database,
    outcomes_file,
    plain_engine,
    snapshot,
)

if TYPE_CHECKING:
    from campanile.measure.types import ArmStatistics
    from campanile.readout.terms import Terms

_AMOUNTS = {"response_rate": "responded", "orders_per_customer": "orders", "revenue_per_customer": "revenue"}
#: Margin is revenue times this, profit is margin less the price of a message.
_MARGIN, _PRICE = Decimal("0.4"), Decimal("0.006")

_OUTCOMES = """
CREATE TEMP TABLE outcome AS
WITH units AS (SELECT * REPLACE (due_at AS due_at), due_at + INTERVAL 30 DAY AS ends_at FROM '{snapshot}'),
placed AS (
    SELECT o.customer_id, order_id, amount, discount FROM "order" AS o JOIN units AS n USING (customer_id)
    WHERE "at" >= TIMESTAMP '{due}' AND "at" < TIMESTAMP '{due}' + INTERVAL 30 DAY AND "at" >= due_at AND "at" < ends_at
        AND state IN ('paid', 'part_refunded') AND amount > 0
), refunds AS (
    SELECT order_id, sum(amount) AS refunded FROM returned
    WHERE "at" < TIMESTAMP '{read_at}' AND order_id IN (SELECT order_id FROM placed) GROUP BY order_id
), bought AS (
    SELECT customer_id, max((refunded IS NOT NULL)::INTEGER) AS returned,
        count(*) FILTER (amount > coalesce(refunded, 0)) AS orders,
        coalesce(sum(amount - coalesce(refunded, 0)) FILTER (amount > coalesce(refunded, 0)), 0)::BIGINT AS revenue,
        coalesce(sum(discount) FILTER (amount > coalesce(refunded, 0)), 0)::BIGINT AS discount
    FROM placed LEFT JOIN refunds USING (order_id) GROUP BY customer_id
), written AS (
    SELECT customer_id, count(*) AS planned, count(*) FILTER (state IN ('accepted', 'unknown')) AS handed_over
    FROM '{messages}' GROUP BY customer_id
)
SELECT arm, stratum, (coalesce(orders, 0) > 0)::INTEGER AS responded, coalesce(orders, 0) AS orders,
    coalesce(revenue, 0) AS revenue, coalesce(discount, 0) AS discount, pre_orders, pre_revenue,
    coalesce(planned, 0) AS planned, coalesce(handed_over, 0) AS handed_over, returned, {cuts}
FROM units LEFT JOIN bought USING (customer_id) LEFT JOIN written USING (customer_id)
"""
_FIGURES = """count(*) AS n, sum(responded), var_samp(responded), sum(orders), var_samp(orders),
    sum(revenue), var_samp(revenue), sum(discount), var_samp(discount), sum(handed_over)"""
_SETS = """
SELECT arm, {cuts}, grouping({cuts}) AS which, {figures} FROM {rows}
GROUP BY GROUPING SETS ((arm), {sets})
"""
#: The outcomes as a table of units: amounts in major units, margin and profit as columns of their own.
_AS_UNITS = """
COPY (
    SELECT arm, responded, orders, revenue / 100 AS revenue, revenue * {margin} / 100 AS margin,
        revenue * {margin} / 100 - handed_over * {price} AS profit, {cuts}
    FROM outcome
) TO '{file}' (FORMAT parquet)
"""


def ours(customers: int) -> Callable[[], Any]:
    """From orders to comparisons, money and parts by the readout's rooms; answers with figures by arm and part."""
    from campanile.clock import Duration
    from campanile.measure.outcomes import Wave, outcomes, span
    from campanile.measure.sums import measure
    from campanile.money import Currency
    from campanile.readout.effects import Effects
    from campanile.readout.parts import parts_of

    database, terms = open_database(customers), _terms()
    wave = Wave("bench", (snapshot(customers),), (messages(customers),), Duration(days=30), READ_AT, cuts=CUTS)

    def work() -> Any:
        summed = measure(outcomes(database, wave, span(database, wave)), CUTS)
        effects = Effects(terms, Currency("CNY"), summed.arms, summed.strata, cuts=summed.cuts)
        parts, _ = parts_of(effects)
        compared = len(effects.declared()) + len(effects.economics()) + len(parts)
        if compared < len(CUTS):
            raise RuntimeError("nothing was compared")
        arms = {arm: _figures(found.statistics) for arm, found in summed.arms.items()}
        found = {
            f"{cut} {level}": _levels(by_arm) for cut, levels in summed.cuts.items() for level, by_arm in levels.items()
        }
        return [arms, found]

    return work


def by_hand(customers: int) -> Callable[[], Any]:
    """The same figures by SQL: outcomes into a table, then one scan with grouping sets."""
    engine = plain_engine(customers)

    def work() -> Any:
        engine.execute(_outcomes_sql(customers))
        return _sets(engine, "outcome")

    return work


def outcomes_by_hand(customers: int) -> Callable[[], Any]:
    """Only the outcomes by SQL, written as the table that a program of units reads; answers with its rows."""
    engine = plain_engine(customers)

    def work() -> Any:
        engine.execute(_outcomes_sql(customers))
        engine.execute(
            _AS_UNITS.format(margin=_MARGIN, price=_PRICE, cuts=", ".join(CUTS), file=outcomes_file(customers))
        )
        return engine.execute("SELECT count(*) FROM outcome").fetchall()[0][0]

    return work


def elsewhere(customers: int) -> Callable[[], Any]:
    """`readout --from` on the table of units; answers with the figures by arm."""
    from campanile.readout.elsewhere import read_elsewhere_out
    from campanile.spec.elsewhere import read_elsewhere

    path = home(customers) / "elsewhere.yaml"
    path.write_text(_ELSEWHERE.format(cuts=", ".join(CUTS)))
    spec = read_elsewhere(path)

    def work() -> Any:
        readout = read_elsewhere_out(outcomes_file(customers), spec)
        return {arm.arm: [arm.n, *(_rounded(arm.metrics[name].mean) for name in _UNITS)] for arm in readout.arms}

    return work


def elsewhere_by_hand(customers: int) -> Callable[[], Any]:
    """Means and variances of the table of units by SQL, by arm and by level of each cut, in one scan."""
    import duckdb

    engine = duckdb.connect()
    figures = "count(*) AS n, " + ", ".join(f"avg({name}), var_samp({name})" for name in _UNITS)
    sets = ", ".join(f"(arm, {cut})" for cut in CUTS)
    sql = _SETS.format(cuts=", ".join(CUTS), figures=figures, rows=f"'{outcomes_file(customers)}'", sets=sets)

    def work() -> Any:
        whole = 2 ** len(CUTS) - 1
        rows = [row for row in engine.execute(sql).fetchall() if row[1 + len(CUTS)] == whole]
        scales = [1 if name == "responded" else 10**6 for name in _UNITS]
        place = 2 + len(CUTS)
        return {
            row[0]: [row[place], *(_rounded(row[place + 1 + 2 * at] * scale) for at, scale in enumerate(scales))]
            for row in rows
        }

    return work


#: Columns of the table of units that are metrics.
_UNITS = ("responded", "orders", "revenue", "margin", "profit")
_ELSEWHERE = """\
hypothesis: Nothing was done to anybody.
from: {{arm: arm, control: control, unit: null}}
metrics:
  responded: {{column: responded, kind: rate}}
  orders: {{column: orders, kind: count}}
  revenue: {{column: revenue, kind: money}}
  margin: {{column: margin, kind: money, negative: true}}
  profit: {{column: profit, kind: money, negative: true}}
cuts: [{cuts}]
split: {{control: 20%, treatment: 80%}}
"""


def _rounded(mean: float) -> float:
    """To seven digits: a column of floats is averaged in another order by another program."""
    return float(f"{mean:.7g}")


def _outcomes_sql(customers: int) -> str:
    due, read_at = DUE.replace(tzinfo=None), READ_AT.replace(tzinfo=None)
    files = {"snapshot": snapshot(customers), "messages": messages(customers)}
    return _OUTCOMES.format(due=due, read_at=read_at, cuts=", ".join(CUTS), **files)


def _sets(engine: Any, rows: str) -> Any:
    """Figures by arm, and by level and arm of each cut, from one scan with grouping sets."""
    sets = ", ".join(f"(arm, {cut})" for cut in CUTS)
    sql = _SETS.format(cuts=", ".join(CUTS), figures=_FIGURES, rows=rows, sets=sets)
    arms: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for arm, *row in engine.execute(sql).fetchall():
        levels, figures = row[: len(CUTS)], row[len(CUTS) + 1 :]
        cut = next((at for at, level in enumerate(levels) if level is not None), None)
        if cut is None:
            arms[arm] = [figures[0], *map(float, figures[1:7])]
        else:
            parts.setdefault(f"{CUTS[cut]} {levels[cut]}", {})[arm] = [figures[0], *map(float, figures[1:7])]
    return [arms, parts]


def _levels(by_arm: Any) -> dict[str, Any]:
    return {arm: _figures(found) for arm, found in by_arm.items()}


def _figures(found: ArmStatistics) -> list[float]:
    """n, and sum and variance of each compared metric."""
    return [found.n, *(x for name in _AMOUNTS for x in (float(found.sums[name]), found.variance(name)))]


def _terms() -> Terms:
    """An experiment of five metrics and ten cuts."""
    from campanile.readout.terms import read_terms

    return read_terms(
        "bench",
        {
            "campaign": {"channel": {"use": "email"}, "costs": {}},
            "experiment": {
                "hypothesis": "Nothing was done to anybody.",
                "split": {"control": "20%", "treatment": "80%"},
                "primary": {"metric": "response_rate", "window": "30d"},
                "cuts": list(CUTS),
            },
            "economics": {"margin_rate": float(_MARGIN), "cost_per_message": {"email": float(_PRICE)}},
        },
    )
