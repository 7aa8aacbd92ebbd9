"""Rules of a country for SMS, as a pack that a channel is bound to. `cn-sms`: what mainland China's gateways ask for.

Sources (delivery §4.5): the template rules of Huawei, Aliyun and Tencent, and MIIT Order 31 on refusals. Not legal
advice: each rule is a switch with a default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from typing import Literal

from pydantic import Field, model_validator

from campanile.spec.fields import HeaderLine, QuietHours, Spec, Unreadable, Whole, YesNo

_SIGNATURE = re.compile(r"【([^【】]{2,16})】")
_BRACKETS = "【】"


class SmsRules(Spec):
    """Rules for every SMS of the channel."""

    pack: Literal["cn-sms"] = Field(description="Whose rules: cn-sms for gateways of mainland China.")
    opt_out: HeaderLine = Field(
        "拒收请回复R", description="How to refuse, at the end of every promotional text; added where it is missing."
    )
    max_chars: Whole = Field(500, description="Most characters of a text with signature and opt-out phrase.")
    variables: YesNo = Field(
        default=True, description="Whether promotional texts may hold values of customers; some gateways forbid them."
    )
    links: YesNo = Field(default=True, description="Whether texts may hold links; they want an ICP filing.")
    hours: QuietHours = Field(
        (time(8), time(21)), description="When promotional texts may go out; quiet hours must cover the rest."
    )
    forbidden: HeaderLine = Field("¥★^", description="Characters that gateways filter.")
    daily_cap: Whole = Field(
        1, description="Most promotional texts to one number in a day; a cap of policy must be as strict."
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> SmsRules:
        if set(self.opt_out) & set(_BRACKETS + self.forbidden):
            raise Unreadable("the opt-out phrase holds a character that texts may not hold", "change opt_out")
        if not self.opt_out:
            raise Unreadable("promotional texts must say how to refuse", "write opt_out: 拒收请回复R")
        return self

    def finished(self, text: str, *, promotional: bool) -> str:
        """The text with the opt-out phrase at its end, where it must say how to refuse.

        >>> SmsRules(pack="cn-sms").finished("【优选】好久不见", promotional=True)
        '【优选】好久不见，拒收请回复R'
        """
        if not promotional or text.endswith(self.opt_out):
            return text
        joint = "" if text[-1:] in "，。！？,.!? \n" else "，"
        return text + joint + self.opt_out

    def broken(self, text: str, signature: str) -> Iterator[str]:
        """What is wrong with a finished text, each as a part of a sentence, without the text.

        >>> list(SmsRules(pack="cn-sms").broken("【优选】满199减¥50【优选】，拒收请回复R", "【优选】"))
        ['holds 【 or 】 behind the signature', 'holds ¥, which gateways filter']
        """
        if not text.startswith(signature):
            yield "does not begin with the signature"
        if set(text.removeprefix(signature)) & set(_BRACKETS):
            yield "holds 【 or 】 behind the signature"
        filtered = "".join(mark for mark in dict.fromkeys(text) if mark in self.forbidden)
        if filtered:
            yield f"holds {filtered}, which gateways filter"
        if len(text) > self.max_chars:
            yield f"has {len(text)} characters, more than {self.max_chars}"


def quiet_covers(quiet: tuple[time, time] | None, hours: tuple[time, time] | None) -> bool:
    """Whether quiet hours cover all of the day but these hours.

    >>> quiet_covers((time(21), time(9)), (time(8), time(21))), quiet_covers((time(22), time(8)), (time(8), time(21)))
    (True, False)
    """
    if hours is None:
        return True
    return quiet is not None and all(
        _inside(minute, hours) or _inside(minute, quiet) for minute in (divmod(n, 60) for n in range(24 * 60))
    )


def _inside(minute: tuple[int, int], span: tuple[time, time]) -> bool:
    at, (start, end) = time(*minute), span
    return start <= at < end if start < end else at >= start or at < end


def signature_problem(signature: str) -> tuple[str, str] | None:
    """What is wrong with a signature, and the cure; None when gateways take it.

    >>> signature_problem("【优选】") is None, signature_problem("优选")[0]
    (True, 'the signature wants 2 to 16 characters in 【】')
    """
    if _SIGNATURE.fullmatch(signature):
        return None
    return (
        "the signature wants 2 to 16 characters in 【】",
        "write signature: 【优选】, as the gateway has registered it",
    )
