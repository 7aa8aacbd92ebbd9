"""Which names a template reads, and what is wrong with them, without rendering it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jinja2 import meta, nodes

from campanile.errors import did_you_mean
from campanile.messages.compose import Report, Source
from campanile.messages.environment import MessageEnvironment
from campanile.spec.references import FIELDS_LISTED

#: Everything beside the customer's own fields that a template may read.
OFFER_NAMES = frozenset({
    "offer.kind", "offer.amount", "offer.off", "offer.percent", "offer.min_spend", "offer.valid_until", "offer.code",
})  # fmt: skip
SHOP_NAMES = frozenset({"shop.name", "shop.currency", "shop.language", "shop.base_url", "shop.postal_address"})
OUR_LINKS = frozenset({"link", "unsubscribe_link", "reply_link", "open_pixel"})
OTHER_NAMES = OUR_LINKS | {"code", "campaign"}
CONTEXT_NAMES = OFFER_NAMES | SHOP_NAMES | OTHER_NAMES
_RESERVED = frozenset(name.partition(".")[0] for name in CONTEXT_NAMES)


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A name as a template reads it, `rfm.r` for instance, and the line."""

    line: int
    path: str


def uses(tree: nodes.Template) -> list[Use]:
    """The names from outside that a template reads, each with its attributes."""
    outside = meta.find_undeclared_variables(tree)
    return sorted({use for use in _reads(tree) if use.path.partition(".")[0] in outside})


def customer_fields(read: Collection[Use], known: Collection[str] | None) -> frozenset[str]:
    """The customer fields among the names read: what is frozen for each customer at plan time."""
    fields: set[str] = set()
    for use in read:
        if use.path.partition(".")[0] not in _RESERVED:
            fields.add(_longest_known(use.path, known) if known is not None else use.path)
    return frozenset(field for field in fields if field)


def check_words(tree: nodes.Template, environment: MessageEnvironment, source: Source, report: Report) -> bool:
    """True when every filter and test is known and no reserved name is given away; reports each that is not."""
    before = _Counter(report)
    for node in tree.find_all(nodes.Filter):
        if node.name not in environment.known_filters:
            cure = did_you_mean(node.name, environment.known_filters)
            before(*source.place(node.lineno), f'no filter "{node.name}" in messages', cure)
    for test in tree.find_all(nodes.Test):
        if test.name not in environment.tests:
            before(*source.place(test.lineno), f'no test "is {test.name}"', did_you_mean(test.name, environment.tests))
    for name in tree.find_all(nodes.Name):
        if name.ctx != "load" and name.name in _RESERVED:
            what = f'"{name.name}" already means something in every message'
            before(*source.place(name.lineno), what, "choose another name")
    return before.count == 0


def check_names(read: Collection[Use], known: Collection[str] | None, source: Source, report: Report) -> None:
    """Nothing; reports each name that no message has. Without `known`, customer fields are taken on trust."""
    every = CONTEXT_NAMES | set(known or ())
    for use in read:
        trusted = known is None and use.path.partition(".")[0] not in _RESERVED
        if trusted or _longest_known(use.path, every):
            continue
        below = sorted(name for name in every if name.startswith(use.path + "."))
        if below:
            report(*source.place(use.line), f'"{use.path}" is several values', f"choose one: {', '.join(below[:8])}")
        else:
            cure = did_you_mean(use.path, every) or FIELDS_LISTED
            report(*source.place(use.line), f'no customer field or word "{use.path}"', cure)


class _Counter:
    """Passes problems on and counts them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.count = 0

    def __call__(self, file: str, line: int, what: str, cure: str) -> None:
        self.count += 1
        self._report(file, line, what, cure)


def _longest_known(path: str, known: Collection[str]) -> str:
    """The longest beginning of a dotted path that is a known name; "" when there is none.

    >>> _longest_known("registered_at.year", {"registered_at", "name"})
    'registered_at'
    """
    while path and path not in known:
        path = path.rpartition(".")[0]
    return path


def _reads(node: nodes.Node) -> Iterator[Use]:
    path = _path(node)
    if path:
        yield Use(_line(node), path)
    inner = _beside_path(node) if path else node.iter_child_nodes()
    for child in inner:
        yield from _reads(child)


def _path(node: nodes.Node) -> str:
    """`offer.amount` for a chain of attributes or constant keys on a name read; "" for anything else."""
    if isinstance(node, nodes.Name):
        return node.name if node.ctx == "load" else ""
    if isinstance(node, nodes.Getattr):
        base = _path(node.node)
        return f"{base}.{node.attr}" if base else ""
    if isinstance(node, nodes.Getitem):
        base = _path(node.node)
        constant = isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str)
        return f"{base}.{node.arg.value}" if base and isinstance(node.arg, nodes.Const) and constant else base
    return ""


def _beside_path(node: nodes.Node) -> Iterator[nodes.Node]:
    """The keys along a path that are expressions of their own."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            yield node.arg
        node = node.node


def _line(node: nodes.Node) -> int:
    """The line of the name at the start of a path."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node.lineno
