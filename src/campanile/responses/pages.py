"""The few pages that recipients see: to leave, to choose, to answer. No scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from email.utils import parseaddr
from html import escape

from campanile.ledger import PlanRecord

#: Which text people agreed to; kept with every answer and raised when a sentence changes.
VERSION = "page 2026-11"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:3em auto;padding:0 1em;color:#222;background:#fff}"
    "button{font:inherit;padding:.6em 1.4em;border:1px solid #222;border-radius:6px;background:#222;color:#fff}"
    "label{display:block;margin:.6em 0}input[type=text],textarea{font:inherit;width:100%;box-sizing:border-box}"
    "a{color:#222}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: What browsers may do with our pages: show them, and send their forms back to us.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "leave": "No more messages?",
        "leave_email": "We will send no more mail to this address.",
        "leave_sms": "We will send no more text messages to this number.",
        "leave_button": "Unsubscribe",
        "choose": "Choose what you want instead",
        "left": "You are unsubscribed.",
        "left_more": "It takes effect at once.",
        "choices": "What may we send you?",
        "keep": "Everything, as before",
        "no_topic": "Nothing more about: ",
        "no_channel_email": "No more mail to this address",
        "no_channel_sms": "No more text messages to this number",
        "no_all": "Nothing at all, on any way",
        "save": "Save",
        "saved": "Saved. It takes effect at once.",
        "reply": "Your answer",
        "name": "Your name",
        "yes": "I am interested",
        "call": "Please call me",
        "later": "Not now",
        "text": "What would you like to tell us?",
        "send": "Send",
        "thanks": "Thank you. We have your answer.",
        "others": "You can also answer",
        "by_phone": "by telephone: ",
        "by_mail": "by mail: ",
        "offer": "Our offer",
        "nothing": "This link leads nowhere.",
        "valid": "on orders over",
    },
    "zh": {
        "leave": "不想再收到消息？",
        "leave_email": "我们将不再向此邮箱发送邮件。",
        "leave_sms": "我们将不再向此号码发送短信。",
        "leave_button": "退订",
        "choose": "选择您想收到的内容",
        "left": "您已退订。",
        "left_more": "即刻生效。",
        "choices": "您希望收到什么？",
        "keep": "全部，和以前一样",
        "no_topic": "不再接收：",
        "no_channel_email": "不再接收邮件",
        "no_channel_sms": "不再接收短信",
        "no_all": "任何方式都不再接收",
        "save": "保存",
        "saved": "已保存，即刻生效。",
        "reply": "您的回复",
        "name": "您的姓名",
        "yes": "我感兴趣",
        "call": "请给我回电",
        "later": "暂时不需要",
        "text": "您想告诉我们什么？",
        "send": "提交",
        "thanks": "谢谢，我们已收到您的回复。",
        "others": "您也可以",
        "by_phone": "致电：",
        "by_mail": "写邮件：",
        "offer": "为您准备的优惠",
        "nothing": "此链接无效。",
        "valid": "满减门槛",
    },
}
#: What the reply form offers to tick.
ANSWERS = ("yes", "call", "later")


def words(plan: PlanRecord | None) -> Mapping[str, str]:
    """The sentences in the shop's language."""
    language = plan.shop_part("language") if plan else "en"
    return _WORDS.get(language.partition("-")[0].lower(), _WORDS["en"])


def _page(plan: PlanRecord | None, title: str, body: str) -> str:
    shop = escape(plan.shop_part("name")) if plan else ""
    language = escape(plan.shop_part("language") if plan else "en")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><p><strong>{shop}</strong></p>{body}</body></html>"
    )


def nothing_here(plan: PlanRecord | None = None) -> str:
    """The page for a link that leads nowhere."""
    said = words(plan)["nothing"]
    return _page(plan, said, f"<p>{said}</p>")


def leave(plan: PlanRecord, channel: str, token: str) -> str:
    """The page on which somebody leaves: only its button does anything."""
    say = words(plan)
    body = (
        f'<h1>{say["leave"]}</h1><p>{say[f"leave_{channel}"]}</p><form method="post" action="../u/{token}">'
        f'<button type="submit">{say["leave_button"]}</button></form><p><a href="../p/{token}">{say["choose"]}</a></p>'
    )
    return _page(plan, say["leave"], body)


def left(plan: PlanRecord, token: str) -> str:
    """The page after somebody left."""
    say = words(plan)
    body = f'<h1>{say["left"]}</h1><p>{say["left_more"]}</p><p><a href="../p/{token}">{say["choose"]}</a></p>'
    return _page(plan, say["left"], body)


def choices(plan: PlanRecord, channel: str, token: str) -> str:
    """The page on which somebody chooses what may come."""
    say = words(plan)
    topic = str(plan.campaign_part("topic") or "")
    offered = [("all", say["keep"]), ("channel", say[f"no_channel_{channel}"]), ("nothing", say["no_all"])]
    if topic:
        offered.insert(1, ("topic", say["no_topic"] + topic))
    lines = "".join(
        f'<label><input type="radio" name="choice" value="{value}" required> {escape(text)}</label>'
        for value, text in offered
    )
    body = (
        f'<h1>{say["choices"]}</h1><form method="post" action="../p/{token}">{lines}'
        f'<button type="submit">{say["save"]}</button></form>'
    )
    return _page(plan, say["choices"], body)


def saved(plan: PlanRecord) -> str:
    """The page after somebody chose."""
    say = words(plan)
    return _page(plan, say["saved"], f"<h1>{say['saved']}</h1>")


def reply(plan: PlanRecord, token: str, *, name: str, phone: str, leave_link: str) -> str:
    """The form on which somebody answers, with what we know filled in, the offer repeated, and other ways beside it."""
    say = words(plan)
    ticks = "".join(f'<label><input type="radio" name="answer" value="{each}"> {say[each]}</label>' for each in ANSWERS)
    body = (
        f'<h1>{say["reply"]}</h1>{_offer(plan, say)}<form method="post" action="../r/{token}">{ticks}'
        f'<label>{say["name"]}<input type="text" name="name" maxlength="100" value="{escape(name)}"></label>'
        f'<label>{say["text"]}<textarea name="text" rows="5" maxlength="2000"></textarea></label>'
        f'<button type="submit">{say["send"]}</button></form>{_other_ways(say, phone, _answers_to(plan))}'
        f'<p><a href="{escape(leave_link)}">{say["leave"]}</a></p>'
    )
    return _page(plan, say["reply"], body)


def replied(plan: PlanRecord) -> str:
    """The page after somebody answered."""
    say = words(plan)
    return _page(plan, say["thanks"], f"<h1>{say['thanks']}</h1>")


def _offer(plan: PlanRecord, say: Mapping[str, str]) -> str:
    offer = plan.campaign_part("offer")
    if not isinstance(offer, Mapping):
        return ""
    worth = " ".join(
        str(part) for part in (offer.get("off") or offer.get("amount") or "", plan.shop_part("currency")) if part
    )
    if not (offer.get("amount") or offer.get("off")):
        return ""
    least = f", {say['valid']} {offer['min_spend']}" if offer.get("min_spend") else ""
    return f"<p>{say['offer']}: {escape(f'{worth}{least}')}</p>"


def _answers_to(plan: PlanRecord) -> str:
    """The mail address that takes answers, as the plan was frozen."""
    channels = plan.spec.get("channels")
    mail = channels.get("email") if isinstance(channels, Mapping) else None
    return parseaddr(str(mail.get("reply_to", "")))[1] if isinstance(mail, Mapping) else ""


def _other_ways(say: Mapping[str, str], phone: str, mail: str) -> str:
    ways = []
    if phone:
        ways.append(f'{say["by_phone"]}<a href="tel:{escape(phone)}">{escape(phone)}</a>')
    if mail:
        ways.append(f'{say["by_mail"]}<a href="mailto:{escape(mail)}">{escape(mail)}</a>')
    return f"<p>{say['others']} {', '.join(ways)}</p>" if ways else ""
