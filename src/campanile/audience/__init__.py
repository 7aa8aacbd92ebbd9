"""From a target to one lazy relation of the customers it means, and how many each line lost.

Reads the customer database through Ibis; nothing is computed until an audience is counted, planned or written.
"""

from campanile.audience.select import select
from campanile.audience.waterfall import Audience, Step

__all__ = ["Audience", "Step", "select"]
