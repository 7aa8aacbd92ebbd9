"""What order lines say: favourite category and brand, how much discount, which price. One scan of a year of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.columns.past import YEAR, Past
from campanile.customers.rfm import FREQUENCY, MONEY, RECENCY
from campanile.customers.tables import BOUGHT

_SPENT = "campanile_spent"
_TERCILES = 3


def affinities(past: Past) -> ir.Table | None:
    """One row per customer with a line in 365 days; None where lines have no category and no amount.

    Columns: favourite_category, category_share, category_affinity; with brands favourite_brand and brand_loyalty; with
    discount rates discount_habit; with unit prices spending_tier.
    """
    lines = lines_of(past, "category", "amount")
    if lines is None:
        return None
    year = lines.filter(lines["at"] >= past.start_of(YEAR))
    spent = engine.store(past.database.ibis, _SPENT, _spent(year), temp=True)
    favourite = _favourite_category(spent)
    if "brand" in spent.columns:
        brands = _favourite_brand(spent, favourite)
        favourite = favourite.left_join(brands, "customer_id").select(
            *(favourite[name] for name in favourite.columns), brands.favourite_brand, brands.brand_loyalty
        )
    if "unit_price" in year.columns:
        tiers = _spending_tier(year, favourite)
        favourite = favourite.left_join(tiers, "customer_id").select(
            *(favourite[name] for name in favourite.columns), tiers.spending_tier
        )
    return favourite.drop("_spend", *(() if "discount_rate" in year.columns else ("discount_habit",)))


def lines_of(past: Past, *columns: str) -> ir.Table | None:
    """Valid order lines; None where the shop has none, or not with these columns."""
    tables = past.database.tables()
    if BOUGHT not in tables or not set(columns) <= set(past.database.table(BOUGHT).columns):
        return None
    return past.database.events(BOUGHT, past.as_of)


def _spent(lines: ir.Table) -> ir.Table:
    """What each customer spent on each category, and brand where lines have one."""
    keys = [key for key in ("customer_id", "category", "brand") if key in lines.columns]
    discounted = (
        (lines.discount_rate > 0).sum().fill_null(0) if "discount_rate" in lines.columns else ibis.null("int64")
    )
    return lines.group_by(keys).agg(
        spend=lines.amount.sum().fill_null(0), lines=lines.count(), discounted=discounted, last_at=lines["at"].max()
    )


def _favourite_category(spent: ir.Table) -> ir.Table:
    """The category each customer spent most on: ties the latest, then by name; its share, and share against all."""
    by_category = spent if "brand" not in spent.columns else _summed(spent)
    people = by_category.group_by("customer_id").agg(
        all_spend=by_category.spend.sum(),
        all_lines=by_category.lines.sum(),
        all_discounted=by_category.discounted.sum(),
        _most=by_category.spend.max(where=by_category.category.notnull()),
    )
    known = by_category.filter(by_category.category.notnull()).inner_join(people, "customer_id")
    share = ibis.ifelse(known.all_spend > 0, known.spend / known.all_spend, ibis.null("float64"))
    known = known.mutate(share=share)
    usual = known.group_by(usual_category=known.category).agg(usual_share=known.share.sum())
    best = _latest(known, "category").select("customer_id", "category", "share", "spend")
    best = best.left_join(usual, best.category == usual.usual_category).drop("usual_category")
    joined = people.left_join(best, "customer_id")
    return joined.select(
        "customer_id",
        favourite_category=joined.category,
        category_share=joined.share,
        category_affinity=joined.share / (joined.usual_share.nullif(0) / people.view().count().as_scalar()),
        discount_habit=joined.all_discounted / joined.all_lines,
        _spend=joined.spend,
    )


def _summed(spent: ir.Table) -> ir.Table:
    """What each customer spent on each category, whatever the brand."""
    return spent.group_by("customer_id", "category").agg(
        spend=spent.spend.sum(), lines=spent.lines.sum(), discounted=spent.discounted.sum(), last_at=spent.last_at.max()
    )


def _latest(spent: ir.Table, name: str) -> ir.Table:
    """Of each customer the row with the `_most` spend: of equal ones the latest, then the first by name.

    Few are equal, so few are sorted.
    """
    most = spent.filter(spent.spend == spent["_most"])
    order = [most.last_at.desc(), most[name].asc()]
    ranked = most.mutate(rank=ibis.row_number().over(group_by="customer_id", order_by=order))
    return ranked.filter(ranked["rank"] == 0).drop("rank")


def _favourite_brand(spent: ir.Table, favourite: ir.Table) -> ir.Table:
    """The brand each customer spent most on, and the share of the top brand in the favourite category."""
    brands = spent.filter(spent.brand.notnull())
    by_brand = brands.group_by("customer_id", "brand").agg(spend=brands.spend.sum(), last_at=brands.last_at.max())
    most = by_brand.group_by("customer_id").agg(_most=by_brand.spend.max())
    best = _latest(by_brand.inner_join(most, "customer_id"), "brand")
    inside = favourite.join(
        brands, (favourite.customer_id == brands.customer_id) & (favourite.favourite_category == brands.category)
    )
    top = inside.group_by("customer_id").agg(top=inside.spend.max(), category_spend=inside["_spend"].max())
    joined = best.left_join(top, "customer_id")
    loyalty = ibis.ifelse(joined.category_spend > 0, joined.top / joined.category_spend, ibis.null("float64"))
    return joined.select("customer_id", favourite_brand=joined.brand, brand_loyalty=loyalty)


def _spending_tier(lines: ir.Table, favourite: ir.Table) -> ir.Table:
    """1, 2 or 3: the third in which a customer's median unit price lies among all who favour the category; tie-safe."""
    inside = lines.join(
        favourite, (lines.customer_id == favourite.customer_id) & (lines.category == favourite.favourite_category)
    )
    prices = inside.group_by("customer_id", "category").agg(price=inside.unit_price.median())
    prices = prices.filter(prices.price.notnull())
    lower = ibis.rank().over(group_by="category", order_by=prices.price)
    all_ = prices.count().over(group_by="category")
    ranked = prices.mutate(lower=lower, everybody=all_)
    return ranked.select("customer_id", spending_tier=1 + _TERCILES * ranked.lower // ranked.everybody)


def scoped_buyers(past: Past, only: Mapping[str, Sequence[str]]) -> ir.Table | None:
    """One row per customer with a line that a scope names: what RFM of those lines is made of."""
    settings = past.project.settings.policy.rfm
    lines = lines_of(past, *only)
    if lines is None:
        return None
    lines = lines.filter(*(lines[column].isin(list(values)) for column, values in only.items()))
    recent = lines["at"] >= past.start_of(settings.window)
    day = past.day(lines["at"])
    by_order = settings.frequency_of == "orders" and "order_id" in lines.columns
    amount = lines.amount if "amount" in lines.columns else ibis.literal(0, "int64")
    found = lines.group_by("customer_id").agg(
        last=lines["at"].max(),
        **{
            FREQUENCY: (lines.order_id if by_order else day).nunique(where=recent),
            MONEY: amount.sum(where=recent).fill_null(0),
        },
    )
    money = found[MONEY]
    if settings.money_of == "average":
        money = (money / ibis.greatest(found[FREQUENCY], 1)).round().cast("int64")
    return found.mutate(**{RECENCY: past.days_since(past.day(found["last"])), MONEY: money}).drop("last")
