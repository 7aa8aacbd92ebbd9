"""A plan is frozen before anything is sent: who, in which arm, when, with what, at what cost, and what it can show.

`make.py` selects, splits, writes the snapshot, checks every message and registers the plan in one transaction.
`explain.py` tells it. A dry run, a send and a resumed send all read the same plan; none of them selects again.
"""
