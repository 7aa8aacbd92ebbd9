"""Mail as bytes: what is the same for everyone is made once, per recipient only five headers and two bodies are joined.

The standard library's EmailMessage takes milliseconds a mail, this takes a small part of that. The bytes are ASCII with
lines of at most 998, so any server takes them: plain where the text allows, quoted-printable where few characters need
it, else base64. Nothing here trusts its input: a control character in a header value is an error.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr, getaddresses
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from campanile.errors import CampanileError

if TYPE_CHECKING:
    from campanile.spec.channel_settings import ChannelSettings
    from campanile.spec.sms_rules import SmsRules

MAX_SUBJECT = 250
_MAX_LINE = 998
#: `=_` occurs in neither encoding, and a plain body that holds it is encoded: a boundary is never found in a body.
_BOUNDARY = b"=_campanile_part_"
_PLAIN_BYTES = bytes([9, 10, 13, *range(32, 127)])
_HIGH_BYTES = bytes(range(128, 256))
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LABEL = re.compile(r"[^A-Za-z0-9._-]+")
#: Quoted-printable is for text that it makes no more than a tenth longer; base64 adds 37 in a hundred, and is quicker.
_GROWTH = 0.1
#: Bytes of text in one encoded word: 75 characters with its frame, less on the line that begins with "Subject: ".
_WORD, _FIRST_WORD = 45, 39
#: Longer lines of headers are folded, and how long a subject may be not to make one.
_FOLDED, _PLAIN_SUBJECT = 78, 69


@dataclass(frozen=True)
class Sender:
    """From whom messages come, as campanile.yaml says it for a channel."""

    #: Name and address: `优选 <news@shop.example>`.
    sender: str
    reply_to: str = ""
    #: Address that takes mails saying no; "" for none.
    unsubscribe_mailto: str = ""
    #: What every SMS begins with: 【优选】.
    signature: str = ""
    #: Rules that every SMS must keep, and whether these are promotional.
    rules: SmsRules | None = None
    promotional: bool = True

    @classmethod
    def of(cls, settings: ChannelSettings, *, promotional: bool = True) -> Sender:
        """The sender that a channel's settings name."""
        names = (settings.sender, settings.reply_to, settings.unsubscribe_mailto, settings.signature)
        return cls(*names, rules=settings.rules, promotional=promotional)

    @cached_property
    def domain(self) -> str:
        """The domain of the sender's address."""
        return mailbox(self.sender)[1].rpartition("@")[2]

    @cached_property
    def refusals(self) -> str:
        """The address that takes mails saying no; "" for none."""
        return mailbox(self.unsubscribe_mailto)[1] if self.unsubscribe_mailto else ""


@dataclass(frozen=True, slots=True)
class Letter:
    """The rendered contents of one mail."""

    message_id: str
    to: str
    subject: str
    text: str
    html: str
    #: The moment of hand-over.
    at: datetime
    #: Headers that mail services take as they are: List-Unsubscribe and the like.
    extra: dict[str, str]


def mailbox(text: str) -> tuple[str, str]:
    """Display name and address of a mailbox; CampanileError when there is no usable address.

    >>> mailbox("优选 <news@shop.example>")
    ('优选', 'news@shop.example')
    """
    found = getaddresses([header_value(text)])
    name, address = found[0] if len(found) == 1 else ("", "")
    if not _ADDRESS.fullmatch(address) or ".." in address:
        cure = "write it as in Name <name@shop.example> in campanile.yaml; a name with a comma wants quotes"
        raise CampanileError("the channel's sender or reply_to is no usable mail address", cure)
    return name, address


def recipient(address: str) -> str:
    """The address as mail servers take it, its domain in ASCII; CampanileError, which does not name it, if unusable.

    >>> recipient("li.wei@bücher.example")
    'li.wei@xn--bcher-kva.example'
    """
    local, at, domain = address.strip().rpartition("@")
    if at and not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            domain = ""
    written = f"{local}@{domain}"
    dotted = written.startswith(".") or local.endswith(".") or ".." in written
    if dotted or len(written) > 254 or not _ADDRESS.fullmatch(written):
        raise CampanileError("the address cannot be written into a mail", "correct it in the customer database")
    return written


def header_value(text: str) -> str:
    """The same text; CampanileError when it has line breaks or control characters, which could add headers."""
    if _UNPRINTABLE.search(text):
        raise CampanileError("a mail header would hold a line break or a control character", "remove it")
    return text


def subject_line(text: str) -> str:
    """A rendered subject without outer and doubled spaces; CampanileError when empty, too long or of several lines."""
    subject = re.sub(" {2,}", " ", header_value(text.strip(" \n")))
    if not subject:
        raise CampanileError("the subject is empty")
    if len(subject) > MAX_SUBJECT:
        raise CampanileError(f"the subject has {len(subject)} characters", f"keep it under {MAX_SUBJECT}")
    return subject


def list_headers(sender: Sender, *, campaign: str, step: str, unsubscribe_link: str) -> dict[str, str]:
    """The headers by which mail programs offer to unsubscribe (RFC 8058), and Gmail's Feedback-ID.

    No Auto-Submitted: people wrote this mail, and RFC 3834 keeps automatic answers away from mail with List headers.
    """
    if not unsubscribe_link.startswith("https://"):
        raise CampanileError("mail programs unsubscribe over https only", "set shop: base_url: https://…")
    targets = [f"<{unsubscribe_link}>"]
    if sender.refusals:
        token = unsubscribe_link.rpartition("/")[2]
        targets.append(f"<mailto:{sender.refusals}?subject=unsubscribe%20{token}>")
    return {
        "List-Unsubscribe": _raw_value(", ".join(targets)),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": _feedback_id(campaign, step, sender.domain),
    }


@lru_cache(maxsize=64)
def _feedback_id(campaign: str, step: str, domain: str) -> str:
    return ":".join(_LABEL.sub("-", label) for label in (campaign, step, "campanile", domain))


class Skeleton:
    """Everything about a template's mails that is the same for all recipients, ready to be joined."""

    def __init__(self, sender: Sender) -> None:
        self._domain = sender.domain
        headers = _from_whom("From", sender.sender)
        if sender.reply_to:
            headers += _from_whom("Reply-To", sender.reply_to)
        self._top = headers + b"To: "
        self._bottom = (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="' + _BOUNDARY + b'"\r\n\r\n'
            b"--" + _BOUNDARY + b"\r\nContent-Type: text/plain; charset=utf-8\r\n"
        )
        self._between = b"\r\n--" + _BOUNDARY + b"\r\nContent-Type: text/html; charset=utf-8\r\n"
        self._end = b"\r\n--" + _BOUNDARY + b"--\r\n"

    def write(self, letter: Letter) -> bytes:
        """The complete mail, RFC 5322; CampanileError when a header value could break out."""
        extra = "".join(f"{name}: {_raw_value(value)}\r\n" for name, value in letter.extra.items())
        head = (
            f"{letter.to}\r\nSubject: {encoded_subject(letter.subject)}\r\nDate: {_date(letter.at)}\r\n"
            f"Message-ID: <{letter.message_id}@{self._domain}>\r\n{extra}"
        )
        text, html = body(letter.text), body(letter.html)
        return b"".join((self._top, head.encode("ascii"), self._bottom, text, self._between, html, self._end))


def body(text: str) -> bytes:
    r"""The end of a part's headers and its body: ASCII, CRLF, lines of at most 998 bytes.

    >>> body("Hello")
    b'Content-Transfer-Encoding: 7bit\r\n\r\nHello'
    >>> body("A naïve plan is to read every word twice.")
    b'Content-Transfer-Encoding: quoted-printable\r\n\r\nA na=C3=AFve plan is to read every word twice.'
    >>> body("优选")
    b'Content-Transfer-Encoding: base64\r\n\r\n5LyY6YCJ'
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    raw = text.replace("\n", "\r\n").encode("utf-8", "replace")
    if _is_plain(raw):
        return b"Content-Transfer-Encoding: 7bit\r\n\r\n" + raw
    escaped = len(raw) - len(raw.translate(None, _HIGH_BYTES)) + raw.count(b"=")
    if escaped * 2 <= len(raw) * _GROWTH:
        quoted = binascii.b2a_qp(
            raw, istext=True
        )  # it breaks lines as the text does, with LF when there is no line end
        quoted = quoted if b"\r\n" in raw else quoted.replace(b"\n", b"\r\n")
        return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted
    encoded = binascii.b2a_base64(raw, newline=False)
    lines = [encoded[start : start + 76] for start in range(0, len(encoded), 76)]
    return b"Content-Transfer-Encoding: base64\r\n\r\n" + b"\r\n".join(lines)


def encoded_subject(subject: str) -> str:
    """The subject as a header value: as it is when short and ASCII, else RFC 2047 encoded words, folded.

    >>> encoded_subject("Welcome back"), encoded_subject("好久不见")
    ('Welcome back', '=?utf-8?b?5aW95LmF5LiN6KeB?=')
    """
    header_value(subject)
    if subject.isascii() and len(subject) <= _PLAIN_SUBJECT and "=?" not in subject and subject == subject.strip():
        return subject
    return _encoded_words(subject)


def _encoded_words(text: str) -> str:
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in _words(text))


def _words(text: str) -> Iterator[bytes]:
    """The text in stretches that fit one encoded word, never splitting a character."""
    word, room = b"", _FIRST_WORD
    for mark in text:
        piece = mark.encode("utf-8")
        if len(word) + len(piece) > room:
            yield word
            word, room = b"", _WORD
        word += piece
    yield word


def _is_plain(raw: bytes) -> bool:
    """Whether the bytes may go as they are: printable ASCII, lines within the limit, no boundary."""
    if not raw.isascii() or raw.translate(None, _PLAIN_BYTES) or b"=_" in raw:
        return False
    return len(raw) <= _MAX_LINE or max(map(len, raw.split(b"\r\n"))) <= _MAX_LINE


def _raw_value(value: str) -> str:
    """The value, to be written raw on one line: folding or encoding would hide the button that unsubscribes."""
    if not value.isascii() or not value.isprintable() or len(value) > _MAX_LINE - 30:
        raise CampanileError(
            "a mail header would hold a line break, be too long or not be ASCII", "shorten the address"
        )
    return value


def _from_whom(header: str, value: str) -> bytes:
    """A header with one mailbox, its display name encoded.

    Not by the standard library, which loses a space where one encoded word of a name ends and the next begins.
    """
    shown, address = mailbox(value)
    if not shown:
        return f"{header}: {address}\r\n".encode("ascii")
    plain = shown.isascii() and len(shown) <= _PLAIN_SUBJECT - len(header) and "=?" not in shown
    phrase = formataddr((shown, address)).removesuffix(f" <{address}>") if plain else _encoded_words(shown)
    line = f"{header}: {phrase} <{address}>"
    fits = len(line.rpartition("\r\n")[2]) <= _FOLDED
    return (line if fits else f"{header}: {phrase}\r\n <{address}>").encode("ascii") + b"\r\n"


@lru_cache(maxsize=16)
def _date(at: datetime) -> str:
    return format_datetime(at)
