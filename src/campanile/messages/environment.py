"""The two Jinja sandboxes that messages are rendered in: one for HTML, one for plain text.

A template sees plain values only. It calls nothing but its own macros, reads no attribute that can be called, loads no
file, and may do a bounded amount of work: every loop turn, macro call and piece of text is charged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import wraps
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateAssertionError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import pass_context, pass_eval_context
from markupsafe import Markup

from campanile.messages.filters import OWN_FILTERS, BadValue

#: Characters and loop turns that one rendering may produce; the largest message allowed is a quarter of it.
WORK_LIMIT = 4_000_000
#: What a loop turn and a macro call cost beside their text, about a tenth of a microsecond each unit.
_TURN, _CALL = 5, 100
#: Largest whole number that arithmetic may make, in bits.
_MAX_BITS = 128

_ALLOWED_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower",
    "title", "trim", "truncate", "upper", "urlencode",
)  # fmt: skip
_ALLOWED_TESTS = (
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "ge", "gt",
    "in", "le", "lt", "ne", "number", "odd", "sameas", "string", "true", "undefined",
)  # fmt: skip
#: Statements that would switch escaping off or leave the template; the composer has replaced the last four.
_FORBIDDEN_NODES: Mapping[type[nodes.Node], str] = {
    nodes.ScopedEvalContextModifier: "{% autoescape %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from %}",
    nodes.Include: "{% include %} here",
    nodes.Extends: "{% extends %} here",
}
#: The only filters that take lists; walking one may take for ever when it holds itself many times over.
_FILTERS_OF_LISTS = frozenset({"count", "d", "default", "first", "join", "last", "length"})
#: Tests that compare what they are given.
_COMPARING_TESTS = frozenset(
    {"!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "gt", "in", "le", "lt", "ne", "divisibleby"}
)
#: Filters that cut text or change what is in it: on finished HTML they could make tags of it.
_CUTTING_FILTERS = frozenset({"first", "last", "replace", "truncate"})
_CONTAINERS = (list, tuple, dict, set, frozenset)
_PRINTABLE = (int, float, Decimal, date, Undefined)


class NoValue(UndefinedError):  # noqa: N818 - a word of the product
    """The template prints or computes with a value that this customer does not have."""


class Absent(Undefined):
    """A known field without a value: false in conditions, empty in loops, replaced by `default`, never printed."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(hint=f"no value for {name}", name=name, exc=NoValue)

    def __str__(self) -> str:  # noqa: PLE0307 - it always raises
        self._fail_with_undefined_error()


class _Work(threading.local):
    """How much the rendering under way in this thread may still do."""

    left: int = WORK_LIMIT

    def spend(self, amount: int) -> None:
        """Take `amount` off; SecurityError when nothing is left."""
        self.left -= amount
        if self.left < 0:
            raise SecurityError("the template does too much: a loop, a macro or a text grows without end")


class _BoundedCode(CodeGenerator):
    """Compiles loops and text joins so that they are charged; refuses what would leave the sandbox."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 - Jinja's name
        refuse_forbidden(node, self.name or "")
        for loop in list(node.find_all(nodes.For)):
            static = sum(len(data.data) for data in loop.find_all(nodes.TemplateData))
            loop.iter = _filter("_turns", loop.iter, nodes.Const(_TURN + static))
        for parent in list(_with_children(node)):
            _replace_joins(parent)
            _guard_walks(parent)
        super().visit_Template(node, frame)


def refuse_forbidden(node: nodes.Template, name: str) -> None:
    """Nothing; TemplateAssertionError with its line when a statement is not allowed in a message."""
    for kind, words in _FORBIDDEN_NODES.items():
        found = node.find(kind)
        if found is not None:
            raise TemplateAssertionError(f"{words} is not allowed in a message", found.lineno, name)


def _filter(name: str, value: nodes.Node, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


def _with_children(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _with_children(child)


def _replace_joins(node: nodes.Node) -> None:
    """Every `a ~ b` directly below becomes a charged join."""
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Concat):
            setattr(node, field, _charged_join(value))
        elif isinstance(value, list):
            value[:] = [_charged_join(item) if isinstance(item, nodes.Concat) else item for item in value]


def _charged_join(node: nodes.Concat) -> nodes.Filter:
    return _filter("_joined", nodes.List(node.nodes, lineno=node.lineno))


def _guard_walks(node: nodes.Node) -> None:
    """What Python would do by itself with the values of this node is bounded: comparing, hashing, cutting."""
    if isinstance(node, nodes.Compare):
        node.expr = _filter("_plain", node.expr)
        for operand in node.ops:
            operand.expr = _filter("_searched" if operand.op in ("in", "notin") else "_plain", operand.expr)
    elif isinstance(node, nodes.Pair):
        node.key = _filter("_plain", node.key)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        node.node = _filter("_cuttable", node.node)


def _plain(value: Any) -> Any:
    """The same value, when looking at it takes no time worth counting; BadValue for lists and mappings."""
    if isinstance(value, _CONTAINERS):
        raise BadValue("lists cannot be compared; compare their items, or their length")
    return value


def _cuttable(value: Any) -> Any:
    """The same value; BadValue for finished HTML, of which pieces could make tags."""
    if isinstance(value, Markup):
        raise BadValue("text that is HTML already cannot be cut or replaced in; do that before a macro or |e makes it")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes | list | tuple)


class MessageEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox for messages: allow-listed filters and tests, no globals, no loader, bounded work."""

    intercepted_binops = frozenset({"+", "*", "%", "**", "//"})
    code_generator_class = _BoundedCode

    def __init__(self, *, autoescape: bool) -> None:
        self.work = _Work()
        super().__init__(
            autoescape=autoescape,
            undefined=StrictUndefined,
            finalize=self._finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            cache_size=0,
        )
        self.globals.clear()
        filters = {name: FILTERS[name] for name in _ALLOWED_FILTERS} | dict(OWN_FILTERS)
        filters |= {"join": self._join, "replace": self._replace}
        self.filters = {name: self._charged(name, function) for name, function in filters.items()}
        self.filters |= {"_turns": self._turns, "_joined": self._joined, "_plain": _plain, "_cuttable": _cuttable}
        self.filters |= {"_searched": self._searched}
        self.tests: dict[str, Any] = {name: self._bounded_test(name) for name in _ALLOWED_TESTS} | {"none": _is_none}

    @property
    def known_filters(self) -> frozenset[str]:
        """The filters that authors may write."""
        return frozenset(name for name in self.filters if not name.startswith("_"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator; SecurityError for those that build large texts or numbers."""
        if operator == "**" or (operator != "+" and (_is_text(left) or _is_text(right))):
            raise SecurityError(f"{operator} is for plain numbers only, and ** is not allowed")
        for value in (left, right):
            if _is_text(value):
                self.work.spend(len(value))
            elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
                raise SecurityError("a number grows too large")
        return super().call_binop(context, operator, left, right)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """What a macro of the template returns; SecurityError for anything else that could be called."""
        if not isinstance(__obj, Macro):
            raise SecurityError("a template may call nothing but its own macros")
        self.work.spend(_CALL)
        result = super().call(__context, __obj, *args, **kwargs)
        self.work.spend(len(result))
        return result

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read it: public, and nothing that can be called."""
        return super().is_safe_attribute(obj, attr, value) and not callable(value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether it is a macro of the template."""
        return isinstance(obj, Macro)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value of a key for mappings, which have no attributes here, else a safe attribute."""
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The value of a key for mappings, an item for lists and text, else a safe attribute."""
        if isinstance(obj, Mapping):
            present = isinstance(argument, str) and argument in obj
            return obj[argument] if present else self.undefined(obj=obj, name=argument)
        return super().getitem(_cuttable(obj), argument)

    @pass_context  # so that Jinja never calls it at compile time, when it would see constants already escaped
    def _finalize(self, _context: Context | None, value: Any) -> Any:
        if value is None:
            raise NoValue("no value")
        if isinstance(value, str):
            self.work.spend(len(value))
        elif not isinstance(value, _PRINTABLE):
            raise BadValue("only text, numbers and dates can be printed; print the items of a list one by one")
        return value

    def _charged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            for value in (*args, *kwargs.values()):
                if isinstance(value, str):
                    self.work.spend(len(value))
                    if name in _CUTTING_FILTERS:
                        _cuttable(value)
                elif isinstance(value, _CONTAINERS) and name not in _FILTERS_OF_LISTS:
                    raise BadValue(f"the filter {name} is for text and numbers, not for lists")
            result = function(*args, **kwargs)
            if isinstance(result, str):
                self.work.spend(len(result))
            return result

        return charged

    def _searched(self, values: Any) -> Any:
        """The same values, with the search through them charged."""
        if isinstance(values, str | list | tuple):
            self.work.spend(len(values))
        return values

    def _bounded_test(self, name: str) -> Callable[..., bool]:
        function = cast("Callable[..., bool]", TESTS[name])
        if name not in _COMPARING_TESTS:
            return function

        @wraps(function)
        def bounded(value: Any, *others: Any) -> bool:
            guard = self._searched if name == "in" else _plain
            return bool(function(_plain(value), *(guard(other) for other in others)))

        return bounded

    def _turns(self, values: Iterable[Any], cost: int) -> Iterator[Any]:
        for value in values:
            self.work.spend(cost)
            yield value

    @pass_eval_context
    def _joined(self, eval_context: nodes.EvalContext, values: list[Any]) -> str:
        return self._join(eval_context, values)

    @pass_eval_context
    def _join(self, eval_context: nodes.EvalContext, values: Iterable[Any], d: str = "") -> str:
        """The items as one text with `d` between them."""
        items: list[str] = []
        for value in values:
            text = value if isinstance(value, str) else str(self._finalize(None, value))
            self.work.spend(len(text) + len(d))
            items.append(text)
        if eval_context.autoescape and any(hasattr(item, "__html__") for item in items):
            return Markup.escape(d).join(items)
        return d.join(items)

    def _replace(self, value: Any, old: str, new: str) -> str:
        """The text with every `old` replaced by `new`."""
        text = value if isinstance(value, str) else str(value)
        self.work.spend((text.count(old) if old else len(text) + 1) * len(new))
        return text.replace(old, new)


def _is_none(value: object) -> bool:
    """Whether there is no value."""
    return value is None or isinstance(value, Absent)
