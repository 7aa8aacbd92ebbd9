"""Measurement as plain functions of counts and sums, for the readout and for a notebook.

    types            ArmStatistics (add with +), Comparison, ArmCosts, Economics; scaled, shift, merged
    counts           Count and Moments: one arm on one metric
    rates            wilson, newcombe, pooled z, Fisher
    relabelled       money per customer by drawing again who was in which arm
    shape            whether the orders of two arms have one shape, which relabelling takes for granted
    amounts          amounts of which only moments are known: quasi-Poisson score, Welch, pooled variance
    lift             Katz and Fieller
    compare          the method chosen by what the data are: compare, compare_profit, compare_adjusted
    ratio            revenue per order, items per order: the delta method over customers
    cuped            less noise by what was known before the campaign
    strata           post-stratified differences
    compliance       the effect on the delivered (CACE)
    sequential       limits that hold at every look: always_valid
    group_sequential bounds of a few planned looks, by spending functions
    bayes            two rates in chances: rate_readout
    prior            a lift drawn towards those of past campaigns: lift_readout
    pooling          one effect out of many campaigns, and what the next may do
    nonworse         not worse by more than a margin: rates (Miettinen-Nurminen) and means
    quadrature       integrals by a fixed rule
    ratio_mismatch   srm, standardised_difference
    multiple         holm, dunnett, benjamini_hochberg, adjust
    cuts             does an effect differ from part to part: heterogeneity, shrunken
    economics        profit, ROI, cost per incremental order

What sizes can show (power, smallest detectable lift, splits, Test & Roll) is of `campanile.design`, and offered here.
Nothing here sees a customer, a table or a clock, and nothing is random.
"""

from campanile.design.amounts import Spend, amount_power, amount_sizes, smallest_amount
from campanile.design.power import Lift, Sizes, needed_sizes, power_at, smallest_detectable
from campanile.design.split import Split, best_split, holdout_cost, periods_needed, split_curve
from campanile.design.trial import Trial, best_trial, trial_gain
from campanile.measure.amounts import (
    pooled_interval,
    pooled_p,
    score_interval,
    score_lift,
    score_p,
    welch_interval,
    welch_p,
)
from campanile.measure.bayes import Beta, RateReadout, rate_readout
from campanile.measure.compare import Adjusted, Profit, compare, compare_adjusted, compare_amounts, compare_profit
from campanile.measure.compliance import Delivered, delivered
from campanile.measure.counts import Count, Moments
from campanile.measure.cuped import Cuped, fit_cuped
from campanile.measure.cuts import Heterogeneity, Part, heterogeneity, part, shrunken
from campanile.measure.economics import economics
from campanile.measure.group_sequential import Looks, looks
from campanile.measure.lift import Estimate, fieller, katz
from campanile.measure.multiple import adjust, benjamini_hochberg, dunnett, holm
from campanile.measure.nonworse import NonWorse, mean_not_worse, miettinen_nurminen, rate_not_worse
from campanile.measure.pooling import Pooled, pool
from campanile.measure.prior import LiftReadout, lift_estimate, lift_readout
from campanile.measure.rates import compare_rates, fisher_p, newcombe, pooled_z, pooled_z_p, wilson
from campanile.measure.ratio import Ratio, compare_ratio, ratio_estimate
from campanile.measure.ratio_mismatch import SampleRatio, srm, standardised_difference
from campanile.measure.relabelled import relabelled_interval, relabelled_lift, relabelled_p
from campanile.measure.sequential import always_valid, always_valid_interval, always_valid_p, always_valid_quantile
from campanile.measure.strata import Stratified, post_stratified
from campanile.measure.types import (
    Aggregate,
    ArmCosts,
    ArmStatistics,
    Comparison,
    Economics,
    merged,
    pair,
    scaled,
    shift,
)

__all__ = [
    "Adjusted",
    "Aggregate",
    "ArmCosts",
    "ArmStatistics",
    "Beta",
    "Comparison",
    "Count",
    "Cuped",
    "Delivered",
    "Economics",
    "Estimate",
    "Heterogeneity",
    "Lift",
    "LiftReadout",
    "Looks",
    "Moments",
    "NonWorse",
    "Part",
    "Pooled",
    "Profit",
    "RateReadout",
    "Ratio",
    "SampleRatio",
    "Sizes",
    "Spend",
    "Split",
    "Stratified",
    "Trial",
    "adjust",
    "always_valid",
    "always_valid_interval",
    "always_valid_p",
    "always_valid_quantile",
    "amount_power",
    "amount_sizes",
    "benjamini_hochberg",
    "best_split",
    "best_trial",
    "compare",
    "compare_adjusted",
    "compare_amounts",
    "compare_profit",
    "compare_rates",
    "compare_ratio",
    "delivered",
    "dunnett",
    "economics",
    "fieller",
    "fisher_p",
    "fit_cuped",
    "heterogeneity",
    "holdout_cost",
    "holm",
    "katz",
    "lift_estimate",
    "lift_readout",
    "looks",
    "mean_not_worse",
    "merged",
    "miettinen_nurminen",
    "needed_sizes",
    "newcombe",
    "pair",
    "part",
    "periods_needed",
    "pool",
    "pooled_interval",
    "pooled_p",
    "pooled_z",
    "pooled_z_p",
    "post_stratified",
    "power_at",
    "rate_not_worse",
    "rate_readout",
    "ratio_estimate",
    "relabelled_interval",
    "relabelled_lift",
    "relabelled_p",
    "scaled",
    "score_interval",
    "score_lift",
    "score_p",
    "shift",
    "shrunken",
    "smallest_amount",
    "smallest_detectable",
    "split_curve",
    "srm",
    "standardised_difference",
    "trial_gain",
    "welch_interval",
    "welch_p",
    "wilson",
]
