"""Every experiment of a shop: its state, its design, its versions, and all that was ever read of it.

kept       the readouts that the folders of experiments keep
entries    one entry per experiment, from the files, the ledger and the kept readouts
effects    what a kept readout says of its treatments, for people
answers    the registry as JSON and as text
pairing    two readouts side by side
export     one row per experiment and comparison, as CSV, JSON or Parquet
page       the index as one page
"""

from campanile.registry.entries import Design, Entry, Version, entry, registry
from campanile.registry.kept import Reading
from campanile.registry.page import write_page

__all__ = ["Design", "Entry", "Reading", "Version", "entry", "registry", "write_page"]
