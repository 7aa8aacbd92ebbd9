"""The experiment of a campaign: who is in which arm, and what sizes can show."""

from campanile.design.assign import assign
from campanile.design.power import Lift, Sizes, needed_sizes, power_at, smallest_detectable

__all__ = ["Lift", "Sizes", "assign", "needed_sizes", "power_at", "smallest_detectable"]
