"""What a template of SMS says against the rules that its channel is bound to, before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from campanile.errors import Problem
from campanile.messages.compose import Source
from campanile.messages.templates import MessageTemplates, environment
from campanile.spec.sms_rules import SmsRules

_LINKS = frozenset({"link", "unsubscribe_link", "reply_link"})


def text_problems(
    templates: MessageTemplates, rules: SmsRules, signature: str, *, promotional: bool
) -> Iterator[Problem]:
    """Every place of the template that no text may hold, whoever gets it."""
    part = templates.parts["sms"]
    for use in part.reads:
        place = part.source.place(use.line)
        if promotional and not rules.variables:
            what = f"promotional texts may hold no values, and this one reads {use.path}"
            yield Problem(*place, what, "write it out, or set variables: true where the gateway allows them")
        elif not rules.links and use.path in _LINKS:
            yield Problem(*place, f"texts may hold no links, and this one holds {use.path}", "remove it")
    yield from _static(part.source, rules, signature)


def _static(source: Source, rules: SmsRules, signature: str) -> Iterator[Problem]:
    tree = environment(autoescape=False).parse(source.text)
    for number, data in enumerate(tree.find_all(nodes.TemplateData)):
        lines = (data.data.removeprefix(signature) if number == 0 else data.data).split("\n")
        for offset, line in enumerate(lines):
            place = source.place(data.lineno + offset)
            if "【" in line or "】" in line:
                yield Problem(*place, "only the signature may stand in 【】", "use other brackets")
            for mark in dict.fromkeys(mark for mark in line if mark in rules.forbidden):
                yield Problem(*place, f"gateways filter {mark}", "write it in words")
            if not rules.links and "://" in line:
                yield Problem(*place, "texts may hold no links", "remove it")
