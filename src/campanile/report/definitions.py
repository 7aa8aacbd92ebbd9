"""What every figure of a report means, in one or two sentences: shown on hover and in the appendix."""

from __future__ import annotations

from campanile.report.document import Definition, Label

_TEXTS: dict[str, tuple[str, str]] = {
    # The effect
    "response_rate": (
        "Response rate",
        "Customers with at least one valid order inside their window, divided by all customers assigned to the arm, "
        "delivered or not.",
    ),
    "orders_per_customer": (
        "Orders per customer",
        "Valid orders inside the window divided by all customers assigned to the arm.",
    ),
    "revenue_per_customer": (
        "Net revenue per customer",
        "Paid amounts of valid orders inside the window, after discounts and minus returns known when this was read "
        "(of those orders, and those since the planned send moment that name no known order), divided by all customers "
        "assigned to the arm.",
    ),
    "margin_per_customer": (
        "Margin per customer",
        "Net revenue per customer times the margin rate; where the rate is of list prices, the rate times net revenue "
        "and discount together, minus the discount. The registered plan says which. Before contact and fixed cost.",
    ),
    "profit_per_customer": (
        "Profit per customer",
        "Margin per customer minus the contact cost of the treated; before fixed cost.",
    ),
    "difference": (
        "Difference",
        "Mean of the treated arm minus mean of control, per assigned customer. What the campaign added.",
    ),
    "interval": (
        "Interval",
        "The values that the data do not contradict. Over many campaigns, intervals made this way hold the true value "
        "in the stated share of cases (95% unless said otherwise). Narrow means precise.",
    ),
    "lift": (
        "Lift",
        "The difference divided by control's mean, with its interval. Withheld when control is too close to zero.",
    ),
    "p_value": (
        "p",
        "How often chance alone would show a difference at least this large if the campaign did nothing.",
    ),
    "p_adjusted": (
        "p, corrected",
        "p after Holm's correction for the number of declared comparisons of the same metric.",
    ),
    "order_value": (
        "Revenue per order",
        "Net revenue divided by orders, with the interval of a ratio (delta method over customers). It says what an "
        "effect was made of; it is no effect, because who orders differs between the arms.",
    ),
    "variance_reduction": (
        "Variance taken out",
        "By how much this way of estimating has less variance than the plain difference. Below zero it has more.",
    ),
    "all_levels": (
        "All levels at once",
        "Limits that hold for every level of the cut together (Bonferroni): the ones to look at when the best or the "
        "worst level is picked out.",
    ),
    "shrunken": (
        "Shrunken",
        "The difference drawn towards the mean of all levels, the more so the less the levels really differ: the best "
        "guess for the next time.",
    ),
    "heterogeneity": (
        "Do the levels differ",
        "Cochran's test that the effect is the same in every level. Without a small p, the best level is luck.",
    ),
    "control": ("Control", "Customers of the same audience, drawn at random, who were planned and got nothing."),
    "window": (
        "Window",
        "How long responses count, from the customer's planned send moment. Control has the same clock.",
    ),
    # The money
    "incremental_profit": (
        "Incremental profit",
        "What the campaign earned beyond what the same customers would have brought anyway: the difference in margin "
        "per customer times the customers treated, minus contact, gifts and fixed cost.",
    ),
    "incremental_margin": ("Incremental margin", "The difference in margin per customer times the customers treated."),
    "incremental_revenue": (
        "Incremental revenue",
        "The difference in net revenue per customer times the customers treated.",
    ),
    "incremental_responders": (
        "Incremental responders",
        "The difference in response rate times the customers treated: customers who bought because of the campaign.",
    ),
    "incremental_orders": ("Incremental orders", "The difference in orders per customer times the customers treated."),
    "cost": ("Cost", "Contact cost of messages handed over, gifts, and the arm's part of the fixed cost."),
    "cost_full": ("Cost with discounts", "Cost plus discounts redeemed beyond control's rate, which is an estimate."),
    "roi": (
        "ROI",
        "Incremental profit divided by cost with discounts. Discounts are already inside net revenue and are not "
        "subtracted twice.",
    ),
    "roi_media": ("ROI on media", "Incremental profit divided by cost without discounts."),
    "iroas": ("iROAS", "Incremental net revenue for each unit of cost."),
    "cost_per_incremental_order": (
        "Cost per incremental responder",
        "Cost divided by incremental responders. Without an upper end when the data allow that there were none.",
    ),
    "break_even_difference": (
        "Break-even difference",
        "The difference in response rate at which the incremental profit would be zero.",
    ),
    "break_even_revenue": (
        "Break-even revenue",
        "The difference in net revenue per customer at which the incremental profit would be zero.",
    ),
    "organic_share": (
        "Would have come anyway",
        "Control's net revenue per customer divided by the treated arm's.",
    ),
    "holdout_cost": (
        "Price of the control",
        "Profit that control's customers would have brought if treated, before fixed cost; negative means saved. "
        "It is what knowing the truth costs.",
    ),
    "claimed_without_control": (
        "A report without control would claim",
        "Margin of everything the treated bought, minus cost: it counts sales that would have come anyway.",
    ),
    # Trust
    "srm": (
        "Arm sizes as planned",
        "Sizes of all arms in the frozen assignment, against the registered shares. The split is exact inside strata, "
        "so this cannot find customers lost after planning; it finds an assignment of another split. Alarm at p below "
        "0.001 of the chi-square test: then no effect can be trusted.",
    ),
    "randomised": (
        "Arms drawn at random",
        "Chance alone decided who was in which arm, and one of them got nothing. Only then is a difference an effect.",
    ),
    "registered_first": (
        "Registered before the first send",
        "The plan that judges was written down before anybody was contacted.",
    ),
    "snapshot_intact": (
        "Assignment unchanged",
        "The file that says who is in which arm still has the hash that the ledger holds.",
    ),
    "control_untouched": ("Control got nothing", "No message of this campaign was planned for a customer of control."),
    "sent": (
        "Everyone sent to, in time",
        "Messages handed over (accepted, or with an unknown answer) out of those planned. The others stay in their "
        "arm, which makes the effect smaller, never larger. When messages still wait, or fewer than 95% were attempted "
        "(handed over or refused), the campaign as planned did not take place, and there is no verdict on it.",
    ),
    "orders_current": (
        "Orders are current",
        "The newest order in the customer database is late enough to cover the window.",
    ),
    "balance": (
        "Arms alike before",
        "Standardised difference of orders and revenue between arm and control in the year before the campaign (longer "
        "when the window is); up to 0.1 counts as alike. Not known when nobody differs.",
    ),
    "control_buyers": (
        "Enough buyers in control",
        "Thirty or more customers of control bought, so that control's rate is a measurement.",
    ),
    "power": (
        "Could it show the expected effect",
        "The smallest difference this experiment finds with the registered power, against the difference that was "
        "expected.",
    ),
    "baseline": ("Baseline as expected", "Control's interval holds the baseline that the plan was made with."),
    "contamination": (
        "Control left alone by others",
        "Customers who got marketing of other campaigns inside the window. Both arms are contacted alike, so the "
        "comparison holds; a large share says what the effect came on top of.",
    ),
    "one_person": (
        "One person, one arm",
        "Customers whose records turned out to be one person after they were assigned. In one arm they count once, "
        "from the earlier message on. In two arms they are left out of every figure; arm sizes are judged before. When "
        "more than 1% are left out, the rest is no fair sample any more, and the campaign is not rolled out on it.",
    ),
    # Guards
    "return_rate": (
        "Return rate",
        "Customers who returned something of an order made inside the window, divided by customers who ordered in it.",
    ),
    "opt_out_rate": (
        "Opt-out rate",
        "The share of customers a message was handed over for who unsubscribed inside the window; of all assigned "
        "customers where arm and control are compared.",
    ),
    "complaint_rate": (
        "Complaint rate",
        "The share of customers a message was handed over for with a spam report or a complaint ticket inside the "
        "window; of all assigned customers where arm and control are compared.",
    ),
    # Delivery
    "planned": ("Planned", "Messages of the frozen plan. The states add up to it."),
    "accepted": ("Accepted", "The provider has taken the message."),
    "rejected": ("Rejected", "The provider refused the message for good."),
    "unknown": ("Unknown", "The provider's answer was lost. Never sent again by itself; counted as a cost."),
    "suppressed": ("Suppressed", "The customer must not be contacted any more; found after planning."),
    "expired": ("Expired", "Came too late to be sent."),
    "held": ("Held", "Waits for quiet hours to end."),
    "due": ("Due", "Planned, and not yet claimed."),
    "claimed": ("Claimed", "A running sender has it."),
}

DEFINITIONS = {key: Definition(key, label, text) for key, (label, text) in _TEXTS.items()}


def named(metric: str) -> str:
    """The metric's name for people; that of a shop's own is what its file calls it.

    >>> named("response_rate"), named("store_visits")
    ('Response rate', 'Store visits')
    """
    known = DEFINITIONS.get(metric)
    return known.label if known else metric.replace("_", " ").capitalize()


def metric_label(metric: str, text: str) -> Label:
    """The label of a metric in these words; that of a shop's own has no definition here, the registered plan has it.

    >>> metric_label("store_visits", "Store visits (primary)").text
    'Store visits (primary)'
    """
    return Label(text, metric if metric in DEFINITIONS else "")


def label(key: str, text: str = "") -> Label:
    """The label of a defined figure, in other words where `text` is given.

    >>> label("roi").text, label("roi").key
    ('ROI', 'roi')
    """
    return Label(text or DEFINITIONS[key].label, key)
