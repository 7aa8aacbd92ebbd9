"""A/A replay: how often campaigns that do nothing are called effective, on the shop's own customers and orders.

units     whose orders are replayed: a past wave, or a target as of a past date
draws     one re-randomisation: the product's own assignment with a fresh salt, added up by the engine
run       many of them, each read as a readout would; how many raised a false alarm
told      what came of it, as a document, as JSON and as text
"""

from campanile.replay.run import Replay, Row, Series, replay
from campanile.replay.units import Units, past_audience, past_wave

__all__ = ["Replay", "Row", "Series", "Units", "past_audience", "past_wave", "replay"]
