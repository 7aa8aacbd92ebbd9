"""MJML templates become HTML once; every Jinja tag comes through, or the file is refused at its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.errors import ProblemsError
from campanile.messages.render import open_messages
from campanile.messages.templates import load_templates
from campanile.spec.project import load_project
from support.plans import planned
from support.sent_project import write_project

MAIL = """\
<mjml>
  <mj-head>
    <mj-preview>For {{ name }} only</mj-preview>
    <mj-style inline="inline">.loud { color: #b3261e; }</mj-style>
  </mj-head>
  <mj-body>
    <mj-section><mj-column>
      <mj-text css-class="loud">Hello {{ name }} &amp; family{% if offer.amount > 40 %}, 50 off{% endif %}</mj-text>
      <mj-raw>{% if offer.code %}</mj-raw>
      <mj-text>Code {{ offer.code }}</mj-text>
      <mj-raw>{% endif %}</mj-raw>
      <mj-button href="{{ link }}">Shop</mj-button>
      <mj-text><a href="{{ unsubscribe_link }}">No more</a></mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""


def project(root: Path, mail: str = MAIL) -> Path:
    write_project(root)
    (root / "templates" / "hello.html.j2").unlink()
    (root / "templates" / "hello.mjml.j2").write_text(mail, encoding="utf-8")
    return root


def problems(root: Path) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_templates(root, "hello", "email", known={"name"})
    return [str(problem) for problem in caught.value.problems]


def test_a_mail_in_mjml_is_checked_and_rendered_like_any_other(tmp_path: Path) -> None:
    root = project(tmp_path)
    done = CliRunner().invoke(cli, ["check", "--project", str(root)])
    assert done.output == "1 campaign(s) without a problem: winback\n"
    message = open_messages(load_project(root), "winback").render(planned(1, variables={"name": "Li <b>"}))
    assert "Hello Li &lt;b&gt; &amp; family, 50 off" in message.html
    assert "For Li &lt;b&gt; only" in message.html
    assert "Code" not in message.html, "this campaign has no code"
    assert re.search(r'href="https://t.example.com/c/[\w-]{42}"', message.html)
    assert re.search(r'href="https://t.example.com/u/[\w-]{42}"', message.html)
    assert "<mj-" not in message.html
    assert "googleapis" not in message.html
    assert "jinja" not in message.html
    assert "max-width" in message.html, "it is made for phones and tables alike"
    assert re.search(r"color: ?#b3261e", message.html), "styles are written into the elements"


def test_problems_have_the_line_of_the_mjml(tmp_path: Path) -> None:
    found = problems(project(tmp_path, MAIL.replace("Code {{ offer.code }}", "Code {{ offer.cod }}")))
    assert found == ['templates/hello.mjml.j2:10: no customer field or word "offer.cod"; did you mean "offer.code"?']


def test_a_value_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    root = project(tmp_path)
    with pytest.raises(Exception, match=r"templates/hello.mjml.j2:(3|8): customer C000001 has no value for name"):
        open_messages(load_project(root), "winback").render(planned(1, variables={"name": None}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("</mj-text>", "", 1), "templates/hello.mjml.j2: the MJML cannot be read"),
        (
            ("<mj-body>", "<mj-body>jinja5tag", 1),
            "templates/hello.mjml.j2: the text holds a word that is kept for tags",
        ),
        (("<mj-text>Code {{ offer.code }}</mj-text>", "<mj-spacer>{{ offer.code }}</mj-spacer>", 1), "hello.mjml.j2:"),
    ],
)
def test_what_cannot_become_html_is_refused(tmp_path: Path, change: tuple[str, str, int], said: str) -> None:
    assert any(said in problem for problem in problems(project(tmp_path, MAIL.replace(*change))))


def test_an_include_of_mjml_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("<mj-text>secret</mj-text>")
    mail = MAIL.replace("<mj-section>", '<mj-include path="../secret.txt" /><mj-section>', 1)
    assert any("cannot be read" in problem for problem in problems(project(tmp_path, mail)))


def test_a_campaign_without_any_html_is_told_so(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "templates" / "hello.mjml.j2").unlink()
    done = CliRunner().invoke(cli, ["check", "--project", str(root)])
    assert "no template templates/hello.html.j2" in str(done.exception)
