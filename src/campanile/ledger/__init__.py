"""The ledger: what was planned, what was tried, what came of it. The only record of who was sent what."""

from campanile.ledger.records import Contact, Mode, Opened, PlanRecord, Recovery, Registration, Tally
from campanile.ledger.store import Ledger

__all__ = ["Contact", "Ledger", "Mode", "Opened", "PlanRecord", "Recovery", "Registration", "Tally"]
