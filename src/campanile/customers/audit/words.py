"""What each check is called, what it counts, and what a person does about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from campanile.customers.audit.findings import Age, Finding
from campanile.customers.tables import BOUGHT, CUSTOMERS, ORDER, RETURNED


@dataclass(frozen=True)
class CheckWords:
    """The title of a check, and the cure of what it finds."""

    title: str
    cure: str


CHECKS: Mapping[str, CheckWords] = {
    "required_fields": CheckWords(
        "Needed and missing", "ask the source of the customers for it, or leave the field out of targets and templates"
    ),
    "invalid_email": CheckWords(
        "Mail addresses", "have them corrected where they are typed in; a form that checks them keeps new ones out"
    ),
    "invalid_phone": CheckWords(
        "Telephone numbers",
        "have them corrected, with the country code; shop: phone_region says it for numbers without",
    ),
    "duplicate_rows": CheckWords("Equal rows", "ask the source whether the same thing was written twice"),
    "duplicate_email": CheckWords(
        "Shared mail addresses", "match the customers into one person; a campaign writes to each address once anyway"
    ),
    "duplicate_phone": CheckWords(
        "Shared telephone numbers", "match the customers into one person; a campaign writes to each number once anyway"
    ),
    "duplicate_person": CheckWords("Same name and place", "match the customers into one person"),
    "unprintable": CheckWords(
        "Unprintable characters", "say how the file is encoded, as in encoding: gb18030, and import it again"
    ),
    "mojibake": CheckWords(
        "Wrong encoding", "say how the file is encoded, as in encoding: gb18030, and import it again"
    ),
    "rare_characters": CheckWords(
        "Rare characters",
        "try them on the printer and the SMS gateway before a campaign; a salutation without the name is safe",
    ),
    "incomplete_address": CheckWords("Incomplete addresses", "complete them before anything is posted"),
    "impossible_dates": CheckWords("Impossible dates", "correct them at their source, and look at the date format"),
    "impossible_amounts": CheckWords(
        "Impossible amounts", "see whether returns stand among the sales, and whether minor units were taken for major"
    ),
    "zero_amounts": CheckWords("Amounts of zero", "nothing, if they are gifts: they count as no order"),
    "several_a_day": CheckWords(
        "Several orders a day", "nothing, unless the shop splits orders; then count buying days instead of orders"
    ),
    "orders_without_customer": CheckWords(
        "Unknown customers", "import the customers of these rows; no campaign can reach them"
    ),
    "orders_before_registration": CheckWords(
        "Orders before registration", "nothing, if guests may buy; otherwise look at both dates"
    ),
    "orders_without_lines": CheckWords("Orders without lines", "import the order lines of the same days"),
    "lines_without_order": CheckWords("Lines without an order", "import the orders of the same days"),
    "returns_above_order": CheckWords(
        "Returns above the order", "see whether a return was written twice, or to the wrong order"
    ),
    "duplicate_orders": CheckWords("Order ids used twice", "map order_id as the key of order, and import again"),
    "rejected_rows": CheckWords("Refused rows", "look into the rejects folder, mend the file, and import it again"),
}
STALE_CURE = "import the newest files; then see why they did not come by themselves"

_ROWS: Mapping[str, str] = {
    CUSTOMERS: "customers", ORDER: "orders", BOUGHT: "order lines", RETURNED: "returns"
}  # fmt: skip
#: What is counted where it is not the rows of the table.
_COUNTED: Mapping[str, str] = {
    "invalid_email": "mail addresses",
    "invalid_phone": "telephone numbers",
    "incomplete_address": "addresses",
    "returns_above_order": "orders with returns",
    "several_a_day": "days of a customer",
}


def rows_of(table: str) -> str:
    """What the rows of a table are called.

    >>> rows_of("bought"), rows_of("visited")
    ('order lines', 'rows of visited')
    """
    return _ROWS.get(table, f"rows of {table}")


def sentence_of(finding: Finding) -> str:
    """What was counted, as a sentence without its full stop.

    >>> sentence_of(Finding("zero_amounts", "order", "amount", 80, 69659, "have an amount of zero"))
    '80 of 69,659 orders (0.11%) have an amount of zero'
    """
    counted = f"{finding.count:,} of {finding.of:,} {_counted(finding)}"
    return f"{counted} ({percent_of(finding.count, finding.of)}) {finding.words}"


def _counted(finding: Finding) -> str:
    if finding.check == "rejected_rows":
        return f"rows of {finding.table}"
    return _COUNTED.get(finding.check, rows_of(finding.table))


def percent_of(count: int, of: int) -> str:
    """A share that never rounds something to nothing, nor nearly all to all.

    >>> percent_of(1, 3), percent_of(1, 1_000_000), percent_of(0, 5), percent_of(999_999, 1_000_000)
    ('33.33%', 'under 0.01%', '0%', 'over 99.99%')
    """
    if count in (0, of):
        return "100%" if count else "0%"
    share = count / of * 100
    if share < 0.01:
        return "under 0.01%"
    return "over 99.99%" if share > 99.99 else f"{share:.2f}%"


def age_sentence(age: Age, days: int | None) -> str:
    """How old the newest row of a table is.

    >>> age_sentence(Age("visited", 5, None, None, stale=True), None)
    'there is no row of visited'
    """
    rows = rows_of(age.table)
    if days is None:
        return f"there is no {'row of ' + age.table if rows.startswith('rows') else rows.removesuffix('s')}"
    newest = "newest row of " + age.table if rows.startswith("rows") else f"newest of the {rows}"
    old = "of the same day" if days == 0 else "1 day old" if days == 1 else f"{days:,} days old"
    return f"the {newest} is {old}"
