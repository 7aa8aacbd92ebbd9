"""Messages to look at before anything is sent: rendered samples, and one page that shows them side by side.

Links and codes in samples are samples. The page loads nothing: each mail sits in a sandboxed frame of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import islice
from pathlib import Path

from campanile.events import Message, PlannedMessage
from campanile.messages.sms import segments

#: Frames on one page beyond which nobody looks.
MAX_SHOWN = 60
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; base-uri 'none'"
)
_STYLE = Path(__file__).with_name("sheet.css").read_text(encoding="utf-8")


def preview(
    render: Callable[[PlannedMessage], Message], sample: Iterable[PlannedMessage], *, most: int = 10
) -> list[Message]:
    """The first messages of a sample, rendered; RenderError for one that cannot be."""
    return [render(planned) for planned in islice(sample, most)]


def contact_sheet(messages: Sequence[Message], *, title: str, most: int = MAX_SHOWN, labels: Sequence[str] = ()) -> str:
    """One HTML page that shows messages side by side and loads nothing from anywhere. No address is on it.

    Args:
        messages: What to show.
        title: Of the page.
        most: How many at most.
        labels: What stands above each message, as its arm; may be shorter than `messages`.
    """
    shown = messages[: min(most, MAX_SHOWN)]
    count = f"{len(shown)} of {len(messages)} messages, with sample links and codes"
    captions = [*labels[: len(shown)], *("" for _ in range(len(shown) - len(labels)))]
    cards = "\n".join(_card(message, caption) for message, caption in zip(shown, captions, strict=True))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>\n{_STYLE}</style></head>\n"
        f'<body><h1>{escape(title)}</h1><p class="count">{escape(count)}</p>\n<main>\n{cards}\n</main></body></html>\n'
    )


def _card(message: Message, caption: str) -> str:
    above = f"<p>{escape(caption)}</p>" if caption else ""
    if message.channel == "sms":
        encoding, parts, units = segments(message.text)
        size = f"{parts} part{'s' if parts > 1 else ''}, {units} units, {encoding}"
        return (
            f'<article><header>{above}<h2>SMS</h2></header><p class="sms" dir="auto">{escape(message.text)}</p>'
            f'<p class="size">{size}</p></article>'
        )
    size = f"{len(message.html.encode('utf-8', 'replace')) / 1000:,.1f} kB of HTML"
    return (
        f'<article><header>{above}<h2 dir="auto">{escape(message.subject)}</h2><p>{size}</p></header>'
        f'<iframe sandbox="" title="mail" srcdoc="{escape(message.html)}"></iframe>'
        f'<details><summary>Plain text</summary><pre dir="auto">{escape(message.text)}</pre></details></article>'
    )
