"""Every way out of the sandbox that is known to have worked somewhere must fail here, and quickly."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError

from campanile.errors import CampanileError, ProblemsError
from campanile.messages.context import build_context
from campanile.messages.environment import WORK_LIMIT, Absent, MessageEnvironment, NoValue
from campanile.messages.filters import BadValue
from campanile.messages.templates import RenderError, load_templates

REFUSED = (SecurityError, UndefinedError, TemplateSyntaxError, RecursionError, BadValue, NoValue)


class Row:
    """An object with a method that must never run."""

    ran = False

    def save(self) -> str:
        Row.ran = True
        return "saved"

    def __call__(self) -> str:
        Row.ran = True
        return "called"


def run(source: str, *, autoescape: bool = False, **values: object) -> str:
    environment = MessageEnvironment(autoescape=autoescape)
    template = environment.from_string(source)
    environment.work.left = WORK_LIMIT
    return template.render(**values)


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ [].__class__.__base__ }}",
    "{{ name.__init__.__globals__ }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '{0.__class__}'.format_map({'0': name}) }}",
    "{{ ('{0.__class__}'|attr('format'))(name) }}",
    "{{ ''|attr('__class__') }}",
    "{% set f = 'x'.format %}{{ f(name) }}",
    "{% set f = {'a': ''.format} %}{{ f.a(name) }}",
    "{{ ['{0.__class__}'.format]|map('call', name)|list }}",
    "{{ [name]|map(attribute='__class__')|list }}",
    "{{ name|map('upper') }}",
    "{{ [name]|groupby('__class__') }}",
    "{{ [name]|selectattr('__class__') }}",
    "{{ [name]|sort(attribute='__class__') }}",
    "{{ name|xmlattr }}",
    "{{ {'a b': 1}|xmlattr }}",
    "{{ name|tojson }}",
    "{{ name|pprint }}",
    "{{ name|safe }}",
    "{{ name|forceescape }}",
    "{{ self }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ namespace() }}",
    "{{ dict() }}",
    "{{ range(3) }}",
    "{{ config }}",
    "{{ request }}",
    "{{ url_for }}",
    "{{ name.upper() }}",
    "{{ name.upper }}",
    "{% if name.upper %}x{% endif %}",
    "{% if row.save %}x{% endif %}",
    "{{ row.save() }}",
    "{{ row.save }}",
    "{{ row() }}",
    "{{ row }}",
    "{{ numbers.append(4) }}",
    "{{ numbers.pop }}",
    "{{ pairs.update({'a': 1}) }}",
    "{{ pairs.items() }}",
    "{{ pairs.__class__ }}",
    "{{ pairs['__class__'] }}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m }}",
    "{% for i in numbers %}{{ loop.__class__ }}{% endfor %}",
    "{% for i in numbers %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in numbers recursive %}{{ loop([1]) }}{% endfor %}",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "{% import 'x' as x %}",
    "{% from 'x' import y %}",
    "{% include '/etc/passwd' %}",
    "{% include ['a', 'b'] ignore missing %}",
    "{% extends '../../etc/passwd' %}",
    "{% do numbers.append(1) %}",
    "{{ name ** 2 }}",
    "{{ 2 ** 2 }}",
    "{{ 'x' * 9 }}",
    "{{ 9 * 'x' }}",
    "{{ [1] * 9 }}",
    "{{ '%9999999999s' % 1 }}",
    "{{ '%s' % name }}",
    "{{ name|center(1000000000) }}",
    "{{ name|indent(1000000000) }}",
    "{{ name|format }}",
    "{{ 1|round(1000000000) }}",
    "{{ none }}",
    "{{ missing }}",
    "{{ missing.field }}",
    "{{ pairs.missing }}",
    "{{ pairs }}",
    "{{ numbers }}",
]


@pytest.mark.parametrize("source", ESCAPES)
@pytest.mark.parametrize("autoescape", [True, False])
def test_no_escape_prints_anything(source, autoescape):
    Row.ran = False
    with pytest.raises(REFUSED):
        run(source, autoescape=autoescape, name="Li", row=Row(), numbers=[1, 2], pairs={"a": 1})
    assert not Row.ran


BOMBS = [
    "{{ 'x' * 10**9 }}",
    "{{ 9**9**8 }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a|length }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = [a, a]|join(a) %}" * 60 + "{{ a }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a|replace('x', 'xxxxxxxxxx') %}" * 60 + "{{ a }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a|replace('', 'xxxxxxxxxx') %}" * 60 + "{{ a }}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 60 + "{{ a }}",
    "{% set a = 99 %}" + "{% set a = a * a %}" * 60 + "{{ a }}",
    "{% set a = 9999999999999999999 %}" + "{% set a = a * a + a * a %}" * 60 + "{{ a }}",
    "".join(f"{{% for i{n} in text %}}" for n in range(12)) + "{% endfor %}" * 12,
    "".join(f"{{% for i{n} in [1,2,3,4,5,6,7,8,9,10] %}}" for n in range(12)) + "y" + "{% endfor %}" * 12,
    "{% for a in text %}{% for b in text %}" + "static text " * 500 + "{% endfor %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64) }}",
    "{% macro f(n) %}x{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64)|length }}",
    "{% macro m0() %}xxxxxxxxxx{% endmacro %}"
    + "".join(f"{{% macro m{n + 1}() %}}{{{{ m{n}() }}}}{{{{ m{n}() }}}}{{% endmacro %}}" for n in range(40))
    + "{{ m40() }}",
    "{% call(x) f() %}{% endcall %}{% macro f() %}{{ caller(1) }}{{ f() }}{% endmacro %}{{ f() }}",
]


@pytest.mark.parametrize("source", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.parametrize("autoescape", [True, False])
def test_bombs_end_early(source, autoescape):
    started = time.process_time()
    with pytest.raises(REFUSED):
        run(source, autoescape=autoescape, text="y" * 2000)
    assert time.process_time() - started < 8


def test_a_template_too_deep_for_the_parser_is_a_problem(write):
    for source in ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{% if 1 %}" * 3000 + "{% endif %}" * 3000):
        with pytest.raises(ProblemsError, match="nested too deeply"):
            load_templates(write({"x.sms.j2": source}), "x", "sms")


def test_many_loops_inside_of_each_other_are_a_problem_not_a_crash(write):
    source = "".join(f"{{% for a{n} in tags %}}" for n in range(25)) + "x" + "{% endfor %}" * 25
    with pytest.raises(ProblemsError):
        load_templates(write({"x.sms.j2": source}), "x", "sms")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 7 * 2 }}", "14"),
        ("{{ 7 % 4 }} {{ 7 // 2 }} {{ 7 - 2 }} {{ 1 + 1 }}", "3 3 5 2"),
        ("{{ name|upper }}", "LI <B>"),
        ("{{ 'a' ~ name ~ 1 }}", "aLi <b>1"),
        ("{{ 'a' + name }}", "aLi <b>"),
        ("{{ nothing|default('friend') }}", "friend"),
        ("{% if nothing %}a{% else %}b{% endif %}", "b"),
        ("{% if nothing == 'gold' %}a{% else %}b{% endif %}", "b"),
        ("{% if nothing is none %}a{% endif %}{% if nothing is defined %}b{% endif %}", "a"),
        ("{% for x in nothing %}a{% endfor %}", ""),
        ("{% for x in numbers %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "11,22,33"),
        ("{% for x in numbers %}{{ loop.length }}{% endfor %}", "333"),
        ("{{ numbers|join('-') }}", "1-2-3"),
        ("{{ numbers[0] }} {{ numbers|first }} {{ numbers|last }} {{ numbers|length }}", "1 1 3 3"),
        ("{{ order.items }} {{ order['values'] }}", "7 8"),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}", "1213"),
        ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{% endcall %}", "[x]"),
        ("{% set x %}{{ name }}{% endset %}{{ x }}", "Li <b>"),
        ("{% filter upper %}a{% endfilter %}", "A"),
        ("{{ 'abcdef'|truncate(3, true, '', 0) }} {{ ' a '|trim }} {{ 'a-b'|replace('-', '+') }}", "abc a a+b"),
        ("{{ 1.5|round }} {{ '3'|int }} {{ (0 - 2)|abs }}", "2 3 2"),
        ("{{ day.year }}", "2026"),
        ("{{ 'b' in ['a', 'b'] }} {{ 4 is even }}", "True True"),
    ],
)
def test_what_marketers_write_works(source, expected):
    from datetime import date

    values = {
        "name": "Li <b>",
        "nothing": Absent("nothing"),
        "numbers": [1, 2, 3],
        "order": {"items": 7, "values": 8},
        "day": date(2026, 3, 5),
    }
    assert run(source, **values) == expected


def test_the_order_items_trap():
    """A mapping's own keys win over its methods, and a missing key never becomes a method."""
    assert run("{{ order.items }}", order={"items": 3}) == "3"
    with pytest.raises(UndefinedError):
        run("{{ order.items }}", order={"lines": 3})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ name }}", "&lt;b&gt;"),
        ("{{ name ~ name }}", "&lt;b&gt;&lt;b&gt;"),
        ("{{ '<i>' ~ name }}", "&lt;i&gt;&lt;b&gt;"),
        ("{{ [name, name]|join(name) }}", "&lt;b&gt;&lt;b&gt;&lt;b&gt;"),
        ("{{ [name|e, name]|join(name) }}", "&lt;b&gt;&lt;b&gt;&lt;b&gt;"),
        ("{{ name|default('x') }}{{ name|upper }}", "&lt;b&gt;&lt;B&gt;"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(name) }}", "&lt;b&gt;"),
        ("{% set x %}{{ name }}{% endset %}{{ x }}", "&lt;b&gt;"),
        ("{{ (name|e) ~ name }}", "&lt;b&gt;&lt;b&gt;"),
        ("{{ (name|e) + name }}", "&lt;b&gt;&lt;b&gt;"),
    ],
)
def test_data_never_becomes_markup(source, expected):
    result = run(source, autoescape=True, name="<b>")
    assert "<" not in result
    if expected is not None:
        assert result == expected


def test_absent_values_name_themselves():
    with pytest.raises(NoValue, match="no value for tier"):
        run("{{ tier }}", tier=Absent("tier"))
    with pytest.raises(NoValue, match="no value for points"):
        run("{{ points + 1 }}", points=Absent("points"))
    with pytest.raises(NoValue, match="no value for points"):
        run("{% if points > 1 %}x{% endif %}", points=Absent("points"))


def test_what_is_refused_is_said():
    for source, kind, words in (
        ("{{ none }}", NoValue, "no value"),
        ("{{ name() }}", SecurityError, "nothing but its own macros"),
        ("{{ numbers }}", BadValue, "one by one"),
        ("{{ 2 ** 2 }}", SecurityError, "plain numbers only"),
    ):
        with pytest.raises(kind, match=words):
            run(source, name="Li", numbers=[1])


def test_globals_filters_and_tests_are_the_listed_ones():
    environment = MessageEnvironment(autoescape=True)
    assert environment.globals == {}
    assert environment.loader is None
    assert {"attr", "map", "safe", "format", "center", "xmlattr", "tojson", "groupby", "random"}.isdisjoint(
        environment.filters
    )
    assert {"callable", "filter", "test"}.isdisjoint(environment.tests)


def test_budgets_are_per_thread():
    import threading

    environment = MessageEnvironment(autoescape=False)
    environment.work.left = 5
    seen = []
    thread = threading.Thread(target=lambda: seen.append(environment.work.left))
    thread.start()
    thread.join()
    assert seen == [WORK_LIMIT]


def test_a_bomb_names_the_template_and_not_the_customer(render_sms):
    with pytest.raises(RenderError, match=r"^templates/x\.sms\.j2:2: the template does too much") as caught:
        render_sms("a\n{% for a in name %}{% for b in name %}{% for c in name %}{% endfor %}{% endfor %}{% endfor %}",
                   name="n" * 500)  # fmt: skip
    assert caught.value.fault


def test_errors_hold_no_values(render_sms):
    secret = "Wang-Secret"
    for source in ("{{ name|int + name }}", "{{ name - 1 }}", "{{ name|url }}", "{{ name|date }}", "{{ name|money }}",
                   "{{ [1][name] }}", "{{ name.nothing }}", "{{ name() }}"):  # fmt: skip
        with pytest.raises(RenderError) as caught:
            render_sms(source, name=secret)
        error = caught.value
        assert secret not in str(error)
        assert error.__cause__ is None
        assert error.__context__ is None


def test_context_takes_plain_values_only(planned, shop, offer, links):
    for value in (object(), Row(), {"a": 1}, lambda: 1, b"bytes", {1}):
        with pytest.raises(CampanileError, match='the field "x" cannot stand in a message'):
            build_context(planned("sms", {"x": value}), offer, shop=shop, links=links, campaign="c")


@pytest.mark.parametrize("amount", ["1e999999999", "NaN", "Infinity", "9" * 400, "０x", "", True, None, [], "12 kg"])
def test_money_refuses_what_is_no_amount(amount):
    with pytest.raises((BadValue, NoValue)):
        run("{{ amount|money }}", amount=amount)


def test_money_takes_numbers_and_their_text():
    assert run("{{ a|money }} {{ b|money('€') }} {{ c|money }}", a=Decimal("1234.5"), b=7, c=0.1) == "1,234.50 €7 0.10"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "java\nscript:x",
        "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "ftp://a", "//evil.example", "/path",
        "evil.example",
        "https://", "https:///x", "https://user@evil.example", "https://a:b@evil.example", "https://a b.example",
        "https://evil.example/\"onclick=x", "https://evil.example/<b>", "https://[::1", "http:evil.example", "",
        "https://evil.example/\u202e", "https://evil.example\\@good.example", "\x01https://a.example",
    ],
)  # fmt: skip
def test_url_refuses_everything_but_web_addresses(address):
    with pytest.raises(BadValue):
        run("{{ a|url }}", a=address)


@pytest.mark.parametrize(
    "address", ["https://a.example", "http://a.example:8080/b?c=d&e=%20#f", "HTTPS://a.example/优选"]
)
def test_url_keeps_web_addresses(address):
    assert run("{{ a|url }}", a=address) == address


DOUBLED = "{% set a = [1, 2] %}" + "{% set a = [a, a] %}" * 60
TUPLED = "{% set a = (1, 2) %}" + "{% set a = (a, a) %}" * 60


@pytest.mark.parametrize("doubled", [DOUBLED, TUPLED])
@pytest.mark.parametrize(
    "use",
    [
        "{{ a|lower }}", "{{ a|e }}", "{{ a|urlencode }}", "{{ a|replace('b', 'c') }}", "{{ a|trim }}", "{{ a|title }}",
        "{{ 'x'|replace(a, 'b') }}", "{{ a|string }}", "{{ a|truncate(3) }}", "{{ a|float }}", "{{ a|join }}",
        "{% set b = [a[0], a[1]] %}{{ a == b }}", "{% if a != [a[0], a[1]] %}x{% endif %}", "{{ a < a[0] }}",
        "{{ a is eq(a[0]) }}", "{{ a is in([a]) }}", "{{ a in [[a[0], a[1]]] }}", "{{ {a: 1}|length }}", "{{ a ~ a }}",
        "{{ 1 == 1 == a }}", "{{ a|money }}", "{{ a|date }}", "{{ a|url }}", "{{ a is divisibleby(a) }}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("autoescape", [True, False])
def test_a_list_that_holds_itself_many_times_is_not_walked(doubled: str, use: str, *, autoescape: bool) -> None:
    begun = time.monotonic()
    with pytest.raises((*REFUSED, CampanileError)):
        run(doubled + use, autoescape=autoescape)
    assert time.monotonic() - begun < 2


def test_what_lists_are_for_still_works() -> None:
    source = "{{ a|length }} {{ a|first }} {{ a|last }} {{ a|join('-') }} {{ 'x' in a }} {{ 'y' is in(a) }}"
    assert run(source, a=["x", "y"]) == "2 x y x-y True True"
    assert run("{{ 'bc' in name }} {{ name == 'abc' }} {{ name[:2] }}", name="abc") == "True True ab"


@pytest.mark.parametrize(
    "cut",
    [
        "m()|replace('b', 'script')", "m()[:1] ~ 'script' ~ m()[-1:]", "m()|first ~ 'script' ~ m()|last",
        "m()[0] ~ 'script' ~ m()[2]", "m()|truncate(1, true, '') ~ 'script' ~ m()|last",
    ],
)  # fmt: skip
def test_no_tag_is_made_of_another(cut: str) -> None:
    with pytest.raises(BadValue, match="HTML already"):
        run("{% macro m() %}<b>{% endmacro %}{{ " + cut + " }}", autoescape=True)


def test_text_may_be_cut_before_it_is_html() -> None:
    assert run("{{ name|replace('b', '<i>')|truncate(5, true, '') }}", autoescape=True, name="abc") == "a&lt;i&gt;c"
