"""Measurement as plain functions of counts and sums, for the readout and for a notebook.

    types            ArmStatistics (add with +), Comparison, ArmCosts, Economics; scaled, shift, merged
    counts           Count and Moments: one arm on one metric
    rates            wilson, newcombe, pooled z, Fisher
    amounts          money per customer: quasi-Poisson score, Welch, pooled variance
    lift             Katz and Fieller
    compare          the method chosen by what the data are: compare, compare_profit, compare_adjusted
    ratio            revenue per order, items per order: the delta method over customers
    cuped            less noise by what was known before the campaign
    strata           post-stratified differences
    compliance       the effect on the delivered (CACE)
    sequential       limits that hold at every look: always_valid
    group_sequential bounds of a few planned looks, by spending functions
    bayes            chances in words: rate_readout, lift_readout
    pooling          one effect out of many campaigns, and what the next may do
    nonworse         not worse by more than a margin: rates (Miettinen-Nurminen) and means
    ratio_mismatch   srm, standardised_difference
    multiple         holm, benjamini_hochberg, adjust
    economics        profit, ROI, cost per incremental order

Nothing here sees a customer, a table or a clock, and nothing is random.
"""

from campanile.measure.amounts import (
    pooled_interval,
    pooled_p,
    score_interval,
    score_lift,
    score_p,
    welch_interval,
    welch_p,
)
from campanile.measure.bayes import Beta, LiftReadout, RateReadout, lift_estimate, lift_readout, rate_readout
from campanile.measure.compare import Adjusted, Profit, compare, compare_adjusted, compare_amounts, compare_profit
from campanile.measure.compliance import Delivered, delivered
from campanile.measure.counts import Count, Moments
from campanile.measure.cuped import Cuped, fit_cuped
from campanile.measure.economics import economics
from campanile.measure.group_sequential import Looks, looks
from campanile.measure.lift import Estimate, fieller, katz
from campanile.measure.multiple import adjust, benjamini_hochberg, holm
from campanile.measure.nonworse import NonWorse, mean_not_worse, miettinen_nurminen, rate_not_worse
from campanile.measure.pooling import Pooled, pool
from campanile.measure.rates import compare_rates, fisher_p, newcombe, pooled_z, pooled_z_p, wilson
from campanile.measure.ratio import Ratio, compare_ratio, ratio_estimate
from campanile.measure.ratio_mismatch import SampleRatio, srm, standardised_difference
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
    "LiftReadout",
    "Looks",
    "Moments",
    "NonWorse",
    "Pooled",
    "Profit",
    "RateReadout",
    "Ratio",
    "SampleRatio",
    "Stratified",
    "adjust",
    "always_valid",
    "always_valid_interval",
    "always_valid_p",
    "always_valid_quantile",
    "benjamini_hochberg",
    "compare",
    "compare_adjusted",
    "compare_amounts",
    "compare_profit",
    "compare_rates",
    "compare_ratio",
    "delivered",
    "economics",
    "fieller",
    "fisher_p",
    "fit_cuped",
    "holm",
    "katz",
    "lift_estimate",
    "lift_readout",
    "looks",
    "mean_not_worse",
    "merged",
    "miettinen_nurminen",
    "newcombe",
    "pair",
    "pool",
    "pooled_interval",
    "pooled_p",
    "pooled_z",
    "pooled_z_p",
    "post_stratified",
    "rate_not_worse",
    "rate_readout",
    "ratio_estimate",
    "scaled",
    "score_interval",
    "score_lift",
    "score_p",
    "shift",
    "srm",
    "standardised_difference",
    "welch_interval",
    "welch_p",
    "wilson",
]
