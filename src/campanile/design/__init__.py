"""The experiment of a campaign: who is in which arm, and what sizes can show.

assign    arms by keyed hash inside strata
power     rates: sizes, power, smallest detectable lift
amounts   the same for money per customer
split     what another split would buy, the holdout's cost, how long a campaign that repeats must run
trial     Test & Roll for a list of known size
"""

from campanile.design.amounts import Spend, amount_power, amount_sizes, smallest_amount
from campanile.design.assign import assign
from campanile.design.power import Lift, Sizes, needed_sizes, power_at, smallest_detectable
from campanile.design.split import Split, best_split, holdout_cost, periods_needed, split_curve
from campanile.design.trial import Trial, best_trial, trial_gain

__all__ = [
    "Lift",
    "Sizes",
    "Spend",
    "Split",
    "Trial",
    "amount_power",
    "amount_sizes",
    "assign",
    "best_split",
    "best_trial",
    "holdout_cost",
    "needed_sizes",
    "periods_needed",
    "power_at",
    "smallest_amount",
    "smallest_detectable",
    "split_curve",
    "trial_gain",
]
