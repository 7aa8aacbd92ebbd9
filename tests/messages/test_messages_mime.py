"""Every mail is parsed back with the standard library: same contents and headers, in bytes that any server takes."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.messages.mime import (
    Letter,
    Sender,
    Skeleton,
    body,
    encoded_subject,
    header_value,
    list_headers,
    mailbox,
    recipient,
    subject_line,
)

AT = datetime(2026, 3, 5, 2, 30, 7, tzinfo=UTC)
SENDER = Sender("优选 <news@youxuan.example>", '"Care, Team" <care@youxuan.example>', "unsubscribe@youxuan.example")
SKELETON = Skeleton(SENDER)
LINK = "https://t.youxuan.example/u/BwARIjNEVWZ3iJmqu8zd7v8AA-mlMMGlbQ_Yc7v6hA"
EXTRA = list_headers(SENDER, campaign="winback", step="message", unsubscribe_link=LINK)

visible = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029")
subjects = st.text(visible, min_size=1, max_size=120).map(lambda text: " ".join(text.split(" ")).strip()).filter(bool)
bodies = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=1500) | st.text(
    st.sampled_from("a. =_-\n\t优😀é\u05d0\u202e"), max_size=1500
)


def write(
    subject: str = "Hello", text: str = "text", html: str = "<p>html</p>", *, to: str = "li@mail.example"
) -> bytes:
    return SKELETON.write(Letter("ab" * 16, to, subject, text, html, AT, EXTRA))


def parse(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    for part in message.walk():
        assert not part.defects
        assert all(not value.defects for value in part.values())
    return message


def contents(message: EmailMessage) -> tuple[str, str]:
    text, html = message.iter_parts()
    return tuple(part.get_content().replace("\r\n", "\n") for part in (text, html))


def check_wire(raw: bytes) -> None:
    """ASCII, CRLF only, no line above 998 bytes: any server takes it."""
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.replace(b"\r\n", b"").translate(None, b"\r\n") == raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 or line.startswith((b"List-", b"Feedback-ID:")) for line in head.split(b"\r\n"))


@settings(max_examples=60)
@given(subjects, bodies, bodies)
@example("Re: [优选] =?utf-8?b?aGk=?=", ".\n..\n.x\n\n.", "--=_campanile_part_--\n--=_campanile_part_\n")
@example("a" * 120, "x" * 5000, "y " * 5000)
@example("😀" * 60, "é" * 997, "=" * 2000)
@example("שלום עולם", "مرحبا\u202eabc", "trailing \nspace\t\n ")
@example("two  spaces  stay out", "From me\nFrom you", "a" * 998 + "\n" + "b" * 999)
def test_what_is_written_is_read_back(subject, text, html):
    raw = write(subject, text, html)
    check_wire(raw)
    message = parse(raw)
    assert message["Subject"] == subject
    assert contents(message) == (text, html)


def test_a_subject_that_looks_encoded_is_encoded():
    for subject in ("=?utf-8?b?aGk=?=", "a =?us-ascii?q?b?= c"):
        assert parse(write(subject))["Subject"] == subject


def test_every_line_end_becomes_one_line_end():
    raw = write("s", "a\r\nb\rc\n\rd", "<p>\r\r\n好</p>")
    check_wire(raw)
    assert contents(parse(raw)) == ("a\nb\nc\n\nd", "<p>\n\n好</p>")


def test_headers_in_order_and_complete():
    message = parse(write("好久不见"))
    assert message.keys() == [
        "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
        "Feedback-ID", "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert message["From"] == "优选 <news@youxuan.example>"
    assert message["From"].addresses[0].addr_spec == "news@youxuan.example"
    assert message["Reply-To"].addresses[0].display_name == "Care, Team"
    assert message["To"] == "li@mail.example"
    assert message["Message-ID"] == f"<{'ab' * 16}@youxuan.example>"
    assert message["Date"].datetime == AT
    assert message["Feedback-ID"] == "winback:message:campanile:youxuan.example"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content_charset() for part in message.iter_parts()] == ["utf-8", "utf-8"]


def test_the_unsubscribe_header_is_raw_and_on_one_line():
    """The standard library would encode a long one, and Gmail would show no button."""
    raw = write()
    token = LINK.rpartition("/")[2]
    line = f"List-Unsubscribe: <{LINK}>, <mailto:unsubscribe@youxuan.example?subject=unsubscribe%20{token}>\r\n"
    assert len(line) > 150
    assert line.encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def test_an_unsubscribe_link_of_any_length_stays_raw():
    link = "https://" + "a" * 60 + "." + "b" * 60 + ".example/" + "c" * 300
    extra = list_headers(SENDER, campaign="c", step="s", unsubscribe_link=link)
    raw = SKELETON.write(Letter("ab" * 16, "li@mail.example", "s", "t", "h", AT, extra))
    assert f"List-Unsubscribe: <{link}>, <mailto:".encode() in raw
    assert parse(raw)["List-Unsubscribe"].startswith(f"<{link}>")
    with pytest.raises(CampanileError, match="too long"):
        list_headers(SENDER, campaign="c", step="s", unsubscribe_link=link + "d" * 300)


def test_unsubscribing_needs_https():
    with pytest.raises(CampanileError, match="https only"):
        list_headers(SENDER, campaign="c", step="s", unsubscribe_link="http://t.example/u/x")


def test_without_mailto_there_is_one_address():
    extra = list_headers(Sender("a@b.example"), campaign="c", step="s", unsubscribe_link=LINK)
    assert extra["List-Unsubscribe"] == f"<{LINK}>"


def test_feedback_id_has_four_plain_parts():
    extra = list_headers(SENDER, campaign="新品:a b\r\n", step="s:1", unsubscribe_link=LINK)
    assert re.fullmatch(r"[\w.-]+:[\w.-]+:campanile:youxuan\.example", extra["Feedback-ID"])


@given(
    st.text(visible, min_size=1, max_size=60).filter(lambda name: name.strip() and not set(name) & set('<>@",;:\\()[]'))
)
def test_any_display_name_survives(name):
    name = " ".join(name.split())
    if not name:
        return
    raw = Skeleton(Sender(f'"{name}" <news@youxuan.example>')).write(
        Letter("ab" * 16, "li@mail.example", "s", "t", "h", AT, {})
    )
    check_wire(raw)
    sender = parse(raw)["From"].addresses[0]
    assert sender.addr_spec == "news@youxuan.example"
    # policy.default reads a space between two encoded words of a name, where RFC 2047 has none; the older reader not.
    line = email.message_from_bytes(raw, policy=email.policy.compat32)["From"]
    decoded = str(make_header(decode_header(line)))
    assert decoded.removesuffix(" <news@youxuan.example>").replace('"', "") == name


BREAKS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


@pytest.mark.parametrize("mark", BREAKS)
def test_nothing_breaks_out_of_a_header(mark):
    attack = f"Hello{mark}Bcc: victim@mail.example"
    for attempt in (
        lambda: write(attack),
        lambda: header_value(attack),
        lambda: subject_line(attack),
        lambda: encoded_subject(attack),
        lambda: mailbox(f"{attack} <a@b.example>"),
        lambda: Skeleton(Sender(f"{attack} <a@b.example>")),
        lambda: Skeleton(Sender("a@b.example", f"{attack} <a@b.example>")),
        lambda: recipient(f"li{mark}@mail.example"),
        lambda: recipient(f"li@mail.example{mark}Bcc: x@y.example"),
        lambda: list_headers(SENDER, campaign="c", step="s", unsubscribe_link=LINK + mark + "X: y"),
        lambda: SKELETON.write(Letter("ab" * 16, "a@b.example", "s", "t", "h", AT, {"X-A": attack})),
    ):
        with pytest.raises(CampanileError) as caught:
            attempt()
        assert "victim" not in str(caught.value)


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0", "\u2028"])
def test_a_name_with_a_line_break_cannot_add_a_header(render_mail, mark):
    name = f"Li{mark}Bcc: victim@mail.example{mark}{mark}<p>body</p>"
    rendered = render_mail(
        "<p>{{ name }}</p>", subject="Hello {{ name }}", text="{{ name }} {{ unsubscribe_link }}", name=name
    )
    message = parse(rendered.mime)
    assert "Bcc" not in message
    assert message["Subject"].startswith("Hello Li")
    assert message.get_content_type() == "multipart/alternative"
    assert len(list(message.iter_parts())) == 2


@pytest.mark.parametrize(
    "address",
    [
        "", "li", "@", "li@", "@mail.example", "li@mail", "li@@mail.example", "li@mail..example", "li li@mail.example",
        "<li@mail.example>", "Li <li@mail.example>", "a@b.example, c@d.example", "a@b.example;c@d.example",
        "li@[127.0.0.1]", '"li wei"@mail.example', "李@mail.example", "li@-mail.example", "li@mail-.example",
        "a" * 65 + "@mail.example", "li@" + "a" * 250 + ".example", ".li@mail.example", "li.@mail.example",
        "l..i@mail.example", "li@mail.example\r\nBcc: x@y.example", "li@\udc80.example",
    ],
)  # fmt: skip
def test_unusable_addresses_are_refused_and_not_shown(address):
    with pytest.raises(CampanileError) as caught:
        recipient(address)
    assert not address or address not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["li@mail.example", "Li.Wei+shop@Mail.Example", "o'brien@mail.example", "a_b-c@x-y.example"]
)
def test_usable_addresses_are_kept(address):
    assert recipient(f" {address} ") == address


def test_which_encoding_is_chosen():
    def encoding(text: str) -> bytes:
        return body(text).split(b"\r\n")[0].partition(b": ")[2]

    assert encoding("plain\n.\ttext") == b"7bit"
    assert encoding("a" * 998) == b"7bit"
    assert encoding("a" * 999) == b"quoted-printable"
    assert encoding("a\x0bb") == b"quoted-printable"
    assert encoding("--=_campanile_part_" + " text" * 30) == b"quoted-printable"
    assert encoding("--=_campanile_part_") == b"base64"
    assert encoding("naïve " + "text " * 20) == b"quoted-printable"
    assert encoding("好久不见") == b"base64"


def test_a_chinese_mail_is_smaller_than_quoted_printable():
    import quopri

    html = "<td style='padding:8px'>好久不见，送您五十元券</td>\n" * 100
    assert len(body(html)) < len(quopri.encodestring(html.encode())) * 0.8
    assert body(html).startswith(b"Content-Transfer-Encoding: base64")


def test_the_same_letter_gives_the_same_bytes():
    assert write("好") == write("好")


def test_the_standard_library_agrees():
    """What EmailMessage writes for the same letter reads the same."""
    built = EmailMessage(policy=email.policy.SMTP)
    built["From"] = "优选 <news@youxuan.example>"
    built["To"] = "li@mail.example"
    built["Subject"] = "好久不见，" * 12
    built.set_content("text é\n.\n")
    built.add_alternative("<p>好</p>\n" * 50, subtype="html")
    theirs = email.message_from_bytes(built.as_bytes(), policy=email.policy.default)
    ours = parse(write("好久不见，" * 12, "text é\n.\n", "<p>好</p>\n" * 50))
    assert contents(ours) == contents(theirs)
    assert (ours["Subject"], ours["From"], ours["To"]) == (theirs["Subject"], theirs["From"], theirs["To"])


def test_senders_need_an_address():
    for text in ("", "优选", "优选 <news>", "news@localhost", "a@b.example, c@d.example x"):
        with pytest.raises(CampanileError):
            mailbox(text)
