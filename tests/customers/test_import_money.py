"""Amounts in other currencies: converted at the rate of the day of the order, the original kept, never guessed."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest

from campanile.errors import CampanileError, ProblemsError

RATES = "day,currency,rate\n2026-01-02,USD,0.9\n2026-01-05,USD,0.8\n2026-01-02,JPY,0.0062\n2026-01-02,KWD,2.9871\n"
ORDERS = (
    "  order: {file: o.csv, currency: {from: Cur}, columns: {order_id: No, customer_id: Who, at: Day, amount: Sum}}\n"
)
HEAD = "No,Who,Day,Cur,Sum\n"


@pytest.fixture
def trader(shop):
    shop.more = "rates: {file: rates.csv, holds: 3d}\n"
    shop.write("rates.csv", RATES)
    return shop


def by_hand(amount: str, rate: str, digits: int) -> tuple[int, int]:
    """Minor units of the currency, and cents of what they are worth."""
    one = Decimal(1)
    own = (Decimal(amount) * 10**digits).quantize(one, ROUND_HALF_UP)
    return int(own), int((own * Decimal(rate) * 100 / 10**digits).quantize(one, ROUND_HALF_UP))


def test_amounts_are_worth_what_they_were_on_their_day(trader):
    orders = [
        ("1", "2026-01-02", "USD", "12.345", "0.9", 2), ("2", "2026-01-04", "usd", "10", "0.9", 2),
        ("3", "2026-01-05", "USD", "10", "0.8", 2), ("4", "2026-01-03", "JPY", "1981", "0.0062", 0),
        ("5", "2026-01-02", "KWD", "1.2345", "2.9871", 3), ("6", "2025-01-01", "EUR", "7.005", "1", 2),
    ]  # fmt: skip
    trader.write("o.csv", HEAD + "".join(f"{no},a,{day},{code},{amount}\n" for no, day, code, amount, *_ in orders))
    assert trader.load(ORDERS).table("order").rejected == {}
    for row, (_, _, code, amount, rate, digits) in zip(trader.rows("order", "order_id"), orders, strict=True):
        own, worth = by_hand(amount, rate, digits)
        found = (row["original_currency"], row["original_amount"], row["amount"])
        assert found == (code.upper(), own, worth)


def test_the_day_is_the_shops(trader):
    trader.zone = "Asia/Shanghai"
    trader.write("o.csv", HEAD + "1,a,2026-01-04T18:00:00Z,USD,10\n")
    trader.load(ORDERS)
    assert trader.rows("order")[0]["amount"] == 800, "in Shanghai it is the fifth"


def test_without_a_rate_nothing_is_guessed(trader):
    lines = [
        "1,a,2026-01-01,USD,1",
        "2,a,2026-01-08,USD,1",
        "3,a,2026-01-02,GBP,1",
        "4,a,2026-01-02,,1",
        "5,a,2026-01-02,US$,1",
    ]
    trader.write("o.csv", HEAD + "\n".join([*lines, "6,a,2026-01-07,USD,1"]))
    report = trader.load(ORDERS).table("order")
    assert report.rejected == {"no rate for its currency on that day": 4, "no currency": 1}
    assert trader.rejects("order")[0] == "o.csv,,1,no rate for its currency on that day,USD 2026-01-01"
    assert [row["order_id"] for row in trader.rows("order")] == ["6"]


def test_sources_in_several_currencies_and_a_corrected_rate(trader):
    mapping = (
        "  bought:\n    columns: {customer_id: Who, at: Day, amount: Sum}\n    sources:\n"
        "      - {file: us.csv, currency: USD}\n      - {file: eu.csv}\n"
    )
    trader.write("us.csv", "Who,Day,Sum\na,2026-01-02,10\n")
    trader.write("eu.csv", "Who,Day,Sum\nb,2026-01-02,10\n")
    assert trader.load(mapping).table("bought").new == 2
    assert [(row["amount"], row["original_currency"]) for row in trader.rows("bought")] == [(900, "USD"), (1000, "EUR")]
    trader.write("rates.csv", RATES.replace("0.9", "0.95"))
    report = trader.load(mapping).table("bought")
    assert (report.new, report.updated, report.rows) == (0, 1, 2), "the same line, worth more"
    assert trader.rows("bought")[0]["amount"] == 950


def test_customers_amounts_are_worth_what_they_are_now(trader):
    from campanile import clock

    trader.write("rates.csv", f"day,currency,rate\n{clock.now().date()},USD,0.5\n")
    trader.write("c.csv", "Id,Stored\na,10\n")
    trader.load("  customers: {file: c.csv, currency: USD, columns: {customer_id: Id, stored_value: Stored}}\n")
    assert trader.rows("customers")[0]["stored_value"] == 500


def test_rates_that_cannot_be_read_are_all_named(trader):
    trader.write("o.csv", HEAD)
    trader.write(
        "rates.csv", "day,currency,rate\n2.1.2026,USD,1\n2026-01-02,RMB,1\n2026-01-02,USD,0\n2026-01-02,USD,\n"
    )
    with pytest.raises(ProblemsError) as caught:
        trader.load(ORDERS)
    assert [str(problem).partition(";")[0] for problem in caught.value.problems] == [
        'rates.csv:2: cannot read the rate "1" of "USD" on "2.1.2026"',
        'rates.csv:3: cannot read the rate "1" of "RMB" on "2026-01-02"',
        'rates.csv:4: cannot read the rate "0" of "USD" on "2026-01-02"',
        'rates.csv:5: cannot read the rate "" of "USD" on "2026-01-02"',
    ]
    trader.write("rates.csv", "Day,currency,rate\n")
    with pytest.raises(CampanileError, match='rates.csv has no column "day"; did you mean "Day"'):
        trader.load(ORDERS)
    (trader.root / "rates.csv").unlink()
    with pytest.raises(CampanileError, match=r"campanile.yaml:\d+: no file rates.csv; a path"):
        trader.load(ORDERS)


def test_a_table_of_one_currency_has_no_columns_for_others(shop):
    shop.write("o.csv", "No,Who,Day,Sum\n1,a,2026-01-02,1\n")
    shop.load("  order: {file: o.csv, columns: {order_id: No, customer_id: Who, at: Day, amount: Sum}}\n")
    assert set(shop.rows("order")[0]) == {"order_id", "customer_id", "at", "amount"}
