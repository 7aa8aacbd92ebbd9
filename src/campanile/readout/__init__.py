"""Reads an experiment: can it be trusted, did it work, did it pay; and decides by the plan that was registered."""

from campanile.readout.read import read_out

__all__ = ["read_out"]
