"""Loading: every problem of every file at once with its line, inheritance resolved here, CSS inlined around Jinja."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from campanile.errors import CampanileError, ProblemsError
from campanile.messages.context import build_context
from campanile.messages.templates import RenderError, load_templates

GOOD = {"x.subject.j2": "Hello", "x.txt.j2": "{{ unsubscribe_link }}", "x.html.j2": "<p>{{ unsubscribe_link }}</p>"}
KNOWN = {"name", "rfm.r", "rfm.segment", "registered_at", "tags"}


def problems(root: Path, medium: str = "email", known: set[str] | None = KNOWN) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_templates(root, "x", medium, known=known)
    return [str(problem) for problem in caught.value.problems]


def test_every_problem_of_every_file_is_reported_at_once(write):
    root = write(
        {
            "x.subject.j2": "Hello {{ nmae }}\n{{ offer.amonut }}",
            "x.txt.j2": "a\nb\n{{ unsubscribe_link }\n",
            "x.html.j2": "<p>\n{{ rmf.r }}\n{{ name|uper }}\n{% if name is defnied %}{% endif %}</p>",
        }
    )
    found = problems(root)
    assert "templates/x.txt.j2:3: unexpected '}'" in found
    assert 'templates/x.subject.j2:1: no customer field or word "nmae"; did you mean "name"?' in found
    assert 'templates/x.subject.j2:2: no customer field or word "offer.amonut"; did you mean "offer.amount"?' in found
    assert 'templates/x.html.j2:3: no filter "uper" in messages; did you mean "upper"?' in found
    assert 'templates/x.html.j2:4: no test "is defnied"; did you mean "defined"?' in found


def test_missing_files_are_named(write):
    root = write({"x.html.j2": GOOD["x.html.j2"]})
    assert problems(root) == [
        "templates/x.subject.j2: no such file; write templates/x.subject.j2",
        "templates/x.txt.j2: no such file; write templates/x.txt.j2",
    ]


def test_unknown_medium_has_a_cure(write):
    with pytest.raises(CampanileError, match='no templates for "fax"'):
        load_templates(write(GOOD), "x", "fax")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ rfm }}", '"rfm" is several values; choose one: rfm.r, rfm.segment'),
        ("{{ offer[name] }}", '"offer" is several values; choose one: offer.amount, offer.code'),
        ("{{ rfm['s'] }}", 'no customer field or word "rfm.s"'),
        ("{{ name and (offer.amount or shp.name) }}", 'or word "shp.name"; did you mean "shop.name"?'),
        ("{% for tag in tgas %}{{ tag }}{% endfor %}", 'no customer field or word "tgas"; did you mean "tags"?'),
        ("{% set link = name %}", '"link" already means something in every message; choose another name'),
        ("{% for offer in tags %}{% endfor %}", '"offer" already means something in every message'),
        ("{% macro m(code) %}{% endmacro %}", '"code" already means something in every message; choose another name'),
        ("{{ range(3) }}", 'no customer field or word "range"'),
        ("{% autoescape false %}{% endautoescape %}", "{% autoescape %} is not allowed in a message"),
        ("{% import 'y.j2' as y %}", "{% import %} is not allowed in a message"),
        ("{% from 'y.j2' import y %}", "{% from %} is not allowed in a message"),
        ("{% include name %}", "{% include %} wants the name of one file"),
        ("{% if name %}", "unexpected end of template"),
        ("{{ name", "unexpected end of template"),
        ("{% nosuch %}", "encountered unknown tag 'nosuch'"),
        ("", "the file is empty"),
    ],
)  # fmt: skip
def test_problems_of_one_line(write, source, expected):
    (found,) = problems(write({"x.sms.j2": source}), "sms")
    assert expected in found


def test_local_names_and_attributes_of_values_are_fine(write):
    source = (
        "{% set greeting = 'Hi' %}{{ greeting }} {% for tag in tags %}{{ loop.index }}{{ tag }}{% endfor %}"
        "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call m(name) %}x{% endcall %}"
        "{{ registered_at.year }}{{ rfm['r'] }}"
    )
    templates = load_templates(write({"x.sms.j2": source}), "x", "sms", known=KNOWN)
    assert templates.variables == {"tags", "name", "registered_at", "rfm.r"}


def test_variables_are_the_customer_fields_of_all_parts(write):
    root = write(
        {
            "_b.html.j2": "<p>{{ rfm.segment }}</p>{% block body %}{% endblock %}{{ unsubscribe_link }}",
            "x.html.j2": '{% extends "_b.html.j2" %}{% block body %}{{ city }}{{ offer.amount }}{% endblock %}',
            "x.txt.j2": "{{ unsubscribe_link }}{% if tier == 'gold' %}{% endif %}",
            "x.subject.j2": "{{ name }}",
        }
    )
    assert load_templates(root, "x", "email").variables == {"rfm.segment", "city", "tier", "name"}


def test_marketing_mail_must_show_how_to_unsubscribe(write):
    root = write({**GOOD, "x.html.j2": "<p>Hi</p>", "x.txt.j2": "Hi"})
    assert problems(root) == [
        f"templates/x.{part}.j2: every marketing mail must show how to unsubscribe; add {{{{ unsubscribe_link }}}}"
        for part in ("html", "txt")
    ]


# Inheritance, resolved by ourselves.


def test_blocks_super_settings_and_includes(render_sms, write):
    write(
        {
            "_a.j2": "A{% block one %}[a1 {% block inner %}a-inner{% endblock %}]{% endblock %}"
            "{% block two %}a2{% endblock %}Z",
            "_b.j2": '{% extends "_a.j2" %}\n{% block one %}<b1 {{ super() }}>{% endblock %}\n{% set city = "X" %}',
            "_c.j2": "{% macro shout(what) %}{{ what }}!{% endmacro %}",
        }
    )
    source = (
        '{% extends "_b.j2" %}\n{# a note #}\n{% set greeting = "Hi" %}\n'
        '{% block inner %}{% include "_c.j2" %}{{ shout(greeting) }}{{ city }}{% endblock %}'
        "{% block two %}{{ super() }}{{ super() }}{% endblock %}"
    )
    assert render_sms(source) == "A<b1 [a1 Hi!X]>a2a2Z"


@pytest.mark.parametrize(
    "source",
    [
        "a\n{% if true %}\n  b {{- ' c ' -}}  d\n  {%- if true %} e{% endif %}\n{% endif %}\nf {# x #} g\n{# y #}\nh",
        "{% if true %}  {% if true %} x {% endif %}  {% endif %}\n  {% if true %}y{% endif %}  \nz\n\n",
        "{%- if true -%}\n a \n{%- endif -%}\n b {{ 1 }}\n{{ 2 }}\n\n{{ 3 -}}\n {%+ if true %}c{% endif +%}\nd",
        "{% for a in [1,\n2] %}\n{{ a\n}} {% endfor %}{{ [\n3] [0] }}\n{% set x %}\n  q\n{% endset %}\n{{ x }}|",
    ],
)
def test_whitespace_control_is_jinjas(render_sms, source):
    from jinja2 import Environment

    source = f"|{source}|"
    assert render_sms(source) == Environment(trim_blocks=True, lstrip_blocks=True).from_string(source).render()


def test_raw_stays_raw(render_sms):
    assert render_sms("{% raw %}{{ name }}{% x %}{% endraw %}|{{ 1 }}") == "{{ name }}{% x %}|1"


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        ('{% extends "_b.html.j2" %}{% block boddy %}{% endblock %}', 'no block "boddy" in the template extended; did'),
        ('{% extends "_b.html.j2" %}\n\nlost', ":3: this stands outside of every block and would never be shown"),
        ('{% extends "_b.html.j2" %}{{ name }}', "this stands outside of every block"),
        ('{% extends "_c.html.j2" %}', 'no template "_c.html.j2"; did you mean "_b.html.j2"?'),
        ('{% extends "x.html.j2" %}', '"x.html.j2" extends itself'),
        ('{% extends "_loop.html.j2" %}', '"_loop.html.j2" extends itself'),
        ('{% include "x.html.j2" %}', '"x.html.j2" includes itself'),
        ('{% include "_ping.html.j2" %}', "includes itself"),
        ('{% include ["_b.html.j2"] %}', "{% include %} wants the name of one file"),
        ('{% include "_b.html.j2" ignore missing %}', "{% include %} wants the name of one file"),
        ("{% extends name %}", "{% extends %} wants the name of one file"),
    ],
)  # fmt: skip
def test_inheritance_problems(write, child, expected):
    root = write(
        {
            **GOOD,
            "_b.html.j2": "<p>{% block body %}{% endblock %}</p>{{ unsubscribe_link }}",
            "_loop.html.j2": '{% extends "_loop.html.j2" %}',
            "_ping.html.j2": '{% include "_pong.html.j2" %}',
            "_pong.html.j2": '{% include "_ping.html.j2" %}',
            "x.html.j2": child,
        }
    )
    assert any(expected in problem for problem in problems(root))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.j2", "/etc/passwd", "..", "sub/../../secret.j2", "sub/a.j2", "a\\\\b.j2", ".hidden.j2", "secret", "",
        "%2e%2e/secret.j2", "..%2fsecret.j2", "link.j2", "C:secret.j2", "a\x00.j2", "....//secret.j2", "folder.j2",
    ],
)  # fmt: skip
@pytest.mark.parametrize("statement", ["include", "extends"])
def test_no_path_leads_out_of_the_templates(write, tmp_path, name, statement):
    root = write({**GOOD, "x.html.j2": f'{{% {statement} "{name}" %}}'})
    (tmp_path / "secret.j2").write_text("SECRET")
    (tmp_path / "templates" / "sub").mkdir()
    (tmp_path / "templates" / "folder.j2").mkdir()
    (tmp_path / "templates" / "sub" / "a.j2").write_text("SECRET")
    (tmp_path / "templates" / ".hidden.j2").write_text("SECRET")
    os.symlink(tmp_path / "secret.j2", tmp_path / "templates" / "link.j2")
    found = problems(root)
    assert found
    assert "SECRET" not in str(found)


def test_a_template_name_cannot_lead_out_either(write, tmp_path):
    (tmp_path / "x.sms.j2").write_text("SECRET")
    write({"y.sms.j2": "fine"})
    with pytest.raises(ProblemsError, match="no such file"):
        load_templates(tmp_path, "../x", "sms")


def test_files_must_be_utf8_and_small(write):
    assert "not UTF-8 text" in problems(write({"x.sms.j2": "优".encode("gbk")}), "sms")[0]
    assert "larger than 256 kB" in problems(write({"x.sms.j2": "a" * 256_001}), "sms")[0]


def test_render_errors_name_file_line_and_customer(write, planned, shop, offer, links):
    root = write({
        "_b.html.j2": "<html><body>\n<p>\n{{ tier }}</p>\n{% block body %}{% endblock %}\n{{ unsubscribe_link }}"
        "</body></html>",
        "x.html.j2": '{% extends "_b.html.j2" %}\n{% block body %}\n<p>a</p>\n<p>{{ shop.name }} b {{ name }}\n'
        "{{ offer.kind }} {{ rfm.r\n + points }}</p>{% endblock %}",
        "x.txt.j2": "{{ unsubscribe_link }}",
        "x.subject.j2": "\nHi {{ city }}",
    })  # fmt: skip
    templates = load_templates(root, "x", "email")
    full = {"tier": "gold", "name": "Li", "rfm.r": 1, "points": 2, "city": "X"}
    expected = {
        "tier": "templates/_b.html.j2:3: customer 1007 has no value for tier",
        "name": "templates/x.html.j2:4: customer 1007 has no value for name",
        "rfm.r": "templates/x.html.j2:5: customer 1007 has no value for rfm.r",
        "points": "templates/x.html.j2:5: customer 1007 has no value for points",
        "city": "templates/x.subject.j2:2: customer 1007 has no value for city",
    }
    for field, sentence in expected.items():
        message = planned("email", {**full, field: None})
        with pytest.raises(RenderError) as caught:
            templates.render(message, build_context(message, offer, shop=shop, links=links, campaign="c"))
        assert re.sub(r"j2:6:", "j2:5:", str(caught.value)) == f'{sentence}; write {{{{ {field} or "…" }}}}'
        assert caught.value.customer_id == "1007"
        assert not caught.value.fault


# CSS, and where values may stand in the markup.

PAGE = """<!DOCTYPE html>
<html><head><title>{{ shop.name }} &amp; {{ name }}</title><style>
.a { color: red; padding: 1px } td.b a { font-weight: bold }
@media (prefers-color-scheme: dark) { .a { color: white !important } }
</style></head><body>
<!--[if mso]><p>{{ shop.name }}</p><![endif]-->
<table>{% for tag in tags %}<tr class="{% if loop.first %}b{% else %}c{% endif %}">
<td class="b"><a class="a"
href="{{ link }}?a=1&amp;b=2" title="{{ name|default("no &quot; 'one'") }}">{{ tag }}</a></td>
</tr>{% endfor %}</table>
<p class="a" style="margin: 0">{{ name }}{% if tags %}<b>many</b>{% endif %} &nbsp;&#8203;&lt;</p>
<a href="{{ unsubscribe_link }}">x</a><img src="https://cdn.example/{{ name|urlencode }}.png" alt="{{ name }}">
</body></html>
"""


def test_css_goes_into_the_elements_and_jinja_survives(render_mail):
    html = render_mail(PAGE, name='Li "<i>" Wei', tags=["one", "<two>"]).html
    links = re.findall(r'<td class="b"><a class="a" [^>]*href="https://t\.youxuan\.example/c/[^>]*>', html)
    assert len(links) == 2
    assert all('title="Li &#34;&lt;i&gt;&#34; Wei"' in link for link in links), links
    assert html.count("font-weight: bold") >= 2
    assert re.search(r'<p class="a" style="color: red;\s*padding: 1px;\s*margin: 0"', html)
    assert "@media (prefers-color-scheme: dark)" in html
    assert '<tr class="b">' in html
    assert '<tr class="c">' in html
    assert "&lt;two&gt;" in html
    assert "?a=1&amp;b=2" in html
    assert "&nbsp;&#8203;&lt;</p>" in html
    assert "<!--[if mso]><p>优选</p><![endif]-->" in html
    assert "<title>优选 &amp; Li &#34;&lt;i&gt;&#34; Wei</title>" in html
    assert "Li%20%22%3Ci%3E%22%20Wei.png" in html
    assert "{{" not in html
    assert "{%" not in html


def test_settings_of_an_extending_page_reach_its_head(write, render_mail):
    write({
        "_page.html.j2": "<!DOCTYPE html>\n<html><head><title>{{ title }}</title></head><body>"
        "{% block body %}{% endblock %}{{ unsubscribe_link }}</body></html>"
    })  # fmt: skip
    source = (
        '{% extends "_page.html.j2" %}\n{% set title = "Hello " ~ name %}\n'
        "{% block body %}<b>{{ title }}</b><!-- {{ unsubscribe_link }} -->{% endblock %}"
    )
    html = render_mail(source, name="<Li>").html
    assert html.startswith("<!DOCTYPE html>")
    assert "<title>Hello &lt;Li&gt;</title>" in html
    assert "<b>Hello &lt;Li&gt;</b>" in html


def test_the_page_has_the_same_words_as_without_inlining(render_mail):
    """What css-inline does must not change a word: compared with plain Jinja on the same source."""
    from html.parser import HTMLParser

    from jinja2 import Environment

    class Words(HTMLParser):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.words: list[str] = []
            self.feed(text)

        def handle_data(self, data: str) -> None:
            self.words += data.split()

    values = {
        "name": "Li & Wei",
        "tags": ["one", "two"],
        "shop": {"name": "优选"},
        "link": "L",
        "unsubscribe_link": "U",
    }
    plain = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE).render(values)
    assert Words(render_mail(PAGE, name="Li & Wei", tags=["one", "two"]).html).words == Words(plain).words


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p class={{ name }}>a</p>", ":1: Jinja inside <p> but outside of quotes"),
        ("<p {% if name %}class='a'{% endif %}>a</p>", "Jinja inside <p> but outside of quotes"),
        ("<{{ name }}>", None),
        ("<h{{ name }}>a</h1>", "Jinja inside <h> but outside of quotes"),
        ("<p style=\"color: {{ name }}\">a</p>", "Jinja inside the attribute style"),
        ("<p onclick=\"{{ name }}\">a</p>", "Jinja inside the attribute onclick"),
        ("<style>.a { color: {{ name }} }</style>", "Jinja inside <style>"),
        ("\n<script>x</script>", ":2: mail clients drop <script>"),
        ("<script>{{ name }}</script>", "Jinja inside <script>"),
        ("<link rel=stylesheet href='https://cdn.example/a.css'>", "put styles into <style>"),
        ("<iframe src='https://a.example'></iframe>", "drop <iframe>"),
        ("<form action='https://a.example'></form>", "drop <form>"),
        ("<a href=\"{{ name }}\">a</a>", "href takes this value unchecked; let it go through the filter |url"),
        ("<a href='{{ name|upper }}'>a</a>", "the attribute href takes this value unchecked"),
        ("<a href=' {{ name }}'>a</a>", "the attribute href takes this value unchecked"),
        ("<a HREF = \"{{ name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"java{{ name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"{% if name %}{{ name }}{% endif %}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"{{ name|url if name else name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"https://{{ name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"https://a.example{{ name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"{{ shop.base_url }}{{ name }}\">a</a>", "the attribute href takes this value unchecked"),
        ("<a href=\"{{ shop.base_url }}/p?n={{ name }}\">a</a>", None),
        ("<a href=\"https://a.example/{{ name|urlencode }}\">a</a>", None),
        ("<a href=\"mailto:x@a.example?subject={{ name|urlencode }}\">a</a>", None),
        ("<a href=\"{{ link }}#{{ name }}\">a</a>", None),
        ("<a href='{% if name %}https://a.example/{% else %}{{ name }}{% endif %}'>a</a>", "href takes this value"),
        ("<img src=\"{{ name }}\">", "the attribute src takes this value unchecked"),
        ("<td background=\"{{ name }}\">", "the attribute background takes this value unchecked"),
        ("<!-- {{ name }} -->", "data inside of a comment; only offer, shop and links may stand there"),
        ("<table>{{ name }}<tr><td>a</td></tr></table>", None),
        ("<table><p>a</p></table>", "the markup is not well formed here"),
        ("{% if name %}<div>{% else %}<p>{% endif %}a</div>", "the markup is not well formed here"),
        ("<div>\n<p>\n<div>a</div></p></div>", "the markup is not well formed here"),
    ],
)  # fmt: skip
def test_where_values_may_not_stand(write, html, expected):
    root = write({**GOOD, "x.html.j2": html + "<p>{{ unsubscribe_link }}</p>"})
    if expected is None:
        load_templates(root, "x", "email", known=KNOWN)
    else:
        assert any(expected in problem for problem in problems(root)), problems(root)


def test_a_javascript_link_from_data_is_refused(render_mail):
    source = '<a href="{{ site|url }}">a</a>'
    assert 'href="https://a.example/?a=1&amp;b=2"' in render_mail(source, site="https://a.example/?a=1&b=2").html
    for address in ("javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", " jav\tascript:x"):
        with pytest.raises(RenderError, match="not a web address"):
            render_mail(source, site=address)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='x", "<!--", "-->", "]]>"]
)
def test_a_name_never_becomes_markup(render_mail, name):
    source = "<h1 title=\"{{ name }}\" class='{{ name }}'>{{ name }}</h1><title>{{ name }}</title>"
    html = render_mail(source, name=name).html
    from html.parser import HTMLParser

    tags: list[str] = []
    attributes: list[tuple[str, str | None]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            attributes.extend(attrs)

        def handle_comment(self, data):
            raise AssertionError(data)

    Tags().feed(html)
    assert tags == ["html", "head", "body", "h1", "title", "a"]
    assert ("title", name) in attributes
    assert {key for key, _ in attributes} == {"title", "class", "href"}


def test_html_limits(render_mail):
    with pytest.raises(RenderError, match="gets more than 1000 kB of HTML"):
        render_mail("{% for t in tags %}" + "y" * 6_000 + "{% endfor %}", tags=["a"] * 200)


def test_sms_limits(render_sms):
    assert len(render_sms("{{ text }}", text="y" * 1600)) == 1600
    with pytest.raises(RenderError, match="customer 1007 gets 1601 characters, more than 1600"):
        render_sms("{{ text }}", text="y" * 1601)
    with pytest.raises(RenderError, match="gets an empty SMS"):
        render_sms("{% if name %}x{% endif %}", name="")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("{{ name }}" * 60, "the subject has 300 characters"),
        ("one\ntwo", "line break or a control character"),
        ("one\u2028two", "line break or a control character"),
        ("one\x07two", "line break or a control character"),
        ("{% if not name %}x{% endif %}", "the subject is empty"),
    ],
)
def test_subject_limits(render_mail, subject, expected):
    with pytest.raises(RenderError, match=expected):
        render_mail("<p>a</p>", subject=subject, name="Li Li")


def test_the_shops_own_templates_are_sound():
    from campanile.spec.vocabulary import load_vocabulary

    root = Path(__file__).parents[2]
    known = {*load_vocabulary().fields}
    assert load_templates(root, "winback", "email", known=known).variables == {"name"}
    assert load_templates(root, "winback", "sms", known=known).variables == {"name"}
