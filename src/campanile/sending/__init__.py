"""Sending: claim, render, hand over, record. At most one hand-over per message that could have been accepted."""

from campanile.sending.run import Dispatch, RunReport, open_dispatch, run_campaign
from campanile.sending.send import send_batch
from campanile.sending.status import status, status_text

__all__ = ["Dispatch", "RunReport", "open_dispatch", "run_campaign", "send_batch", "status", "status_text"]
