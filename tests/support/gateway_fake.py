"""A gateway as many in China are: one form, a code in the answer, its own id."""

from __future__ import annotations

from collections.abc import Mapping

from support.twilio_fake import form_of
from support.web_fake import Fake, Reply, Request

KEY = "a-key-of-a-gateway"
#: Codes that a recipient may be given in `faults`.
CODES = {"1011", "2001", "3003", "4004", "9999"}

#: How campanile.yaml describes it.
GATEWAY: Mapping[str, object] = {
    "secrets": {"key": "GATEWAY_KEY"},
    "headers": {"X-Key": "{key}"},
    "form": {"mobile": "{to_national}", "content": "{text}", "uid": "{message_id}", "report": "{callback}"},
    "answers": {
        "accepted": {"where": {"code": 0}},
        "later": {"where": {"code": [1011]}},
        "stop": {"where": {"code": 2001}},
        "refuses_us": {"where": {"code": 3003}},
        "rejected": {"where": {"code": 4004}},
        "id": "data.smsid",
    },
}


class GatewayFake(Fake):
    def __init__(self, *, text: bool = False) -> None:
        super().__init__()
        self.text = text
        self.taken: list[dict[str, str]] = []

    def recipient(self, request: Request) -> str:
        return form_of(request).get("mobile", "")

    def answer(self, request: Request) -> Reply:
        if request.headers.get("x-key") != KEY:
            return Reply.of(401, {"code": 3001, "msg": "bad key"})
        form = form_of(request)
        if self.word in CODES:
            sentence = f"refused {form['mobile']}"
            return Reply.of(200, {"code": int(self.word), "msg": sentence})
        self.taken.append(form)
        smsid = f"G{len(self.taken):06d}"
        if self.text:
            return Reply(200, f"0,{smsid}\n".encode(), {"Content-Type": "text/plain"})
        return Reply.of(200, {"code": 0, "msg": "OK", "data": {"smsid": smsid}})
