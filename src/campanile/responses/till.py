"""Where the shop's tills redeem coupons: whose code it is, and whether it was used before."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campanile import clock
from campanile.responses.bodies import FORM, events_of, read_body
from campanile.responses.coupons import Redeemed, index_codes, redeem
from campanile.responses.desk import Desk
from campanile.responses.signatures import any_equal

_LONGEST = 100


class Till:
    """The address that tills call."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def redeem(self, request: Request) -> Response:
        """Notes that an order used a code; the same order again is answered the same."""
        body = await read_body(request, FORM)
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not any_equal(self._desk.keys.shop, key):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        asked = events_of(body, 1)
        if not asked:
            raise HTTPException(400)
        wanted = self._redeemed(asked[0])
        ledger, writer = self._desk.ledger, self._desk.writer
        answer = await writer.clerically(partial(redeem, ledger, wanted))
        if answer.state == "unknown" and await self._indexed():
            answer = await writer.clerically(partial(redeem, ledger, wanted))
        self._desk.counts["coupons", answer.state] += 1
        return JSONResponse(answer.to_json(), status_code={"unknown": 404, "used": 409}.get(answer.state, 200))

    async def _indexed(self) -> bool:
        """Whether codes were written down that had not been."""
        written: int = await self._desk.writer.clerically(partial(index_codes, self._desk.ledger, self._desk.ring))
        return written > 0

    def _redeemed(self, said: Mapping[str, Any]) -> Redeemed:
        code, order = said.get("code"), said.get("order_id")
        customer, amount = said.get("customer_id", ""), said.get("amount")
        texts = all(isinstance(each, str) and len(each) <= _LONGEST for each in (code, order, customer))
        sound = amount is None or (isinstance(amount, int | float) and not isinstance(amount, bool))
        if not (texts and code and order and sound) or said.keys() - {"code", "order_id", "customer_id", "amount"}:
            raise HTTPException(400)
        minor = None if amount is None else round(float(amount) * self._desk.project.currency.scale)
        return Redeemed(str(code).strip().upper(), str(order), clock.now(), minor, str(customer))
