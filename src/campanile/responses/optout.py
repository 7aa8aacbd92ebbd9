"""Words by which people say no, and yes again, in a text message: the whole message must be one of them.

Providers have lists of their own; this one does not depend on them. A message that only contains such a word may mean
anything, so a person looks at it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

#: Which lists were in force. Kept with every refusal.
VERSION = "keywords 2026-11"

_STOP = {
    "en": "stop stopall unsubscribe end quit cancel revoke optout opt-out",
    "zh": "退订 拒收 取消 取消订阅 停止 不要 td t n r",
    "es": "baja alto parar cancelar",
    "fr": "stop arret arrêt desabonner désabonner",
    "de": "stopp abmelden abbestellen",
    "pt": "parar sair cancelar",
    "it": "basta cancella disiscrivi",
    "ja": "停止 配信停止 解除",
}
_START = {"en": "start unstop yes subscribe", "zh": "订阅 恢复", "es": "iniciar", "fr": "debut", "de": "anmelden"}
_HELP = {"en": "help info", "zh": "帮助", "es": "ayuda", "fr": "aide", "de": "hilfe"}

Answer = Literal["stop", "start", "help", "review", ""]


def _plain(text: str) -> str:
    """The text in small letters of one width, without signs and outer blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]|_", "", folded).split())


def _words(lists: dict[str, str]) -> frozenset[str]:
    return frozenset(_plain(word) for words in lists.values() for word in words.split())


_STOPS, _STARTS, _HELPS = _words(_STOP), _words(_START), _words(_HELP)
#: Said inside of a longer message, these want a person; single letters and small words would be found everywhere.
_WITHIN = frozenset(word for word in _STOPS if len(word) >= 4 or not word.isascii()) - {"不要", "取消", "停止"}


def read_answer(text: str) -> Answer:
    """What a text message says: stop, start, help; `review` when it may mean stop; "" when it is about something else.

    >>> read_answer(" ＳＴＯＰ! "), read_answer("回复：退订"), read_answer("TD"), read_answer("Opt-out.")
    ('stop', 'review', 'stop', 'stop')
    >>> read_answer("Start"), read_answer("where is my parcel?")
    ('start', '')
    """
    plain = _plain(text)
    joined = plain.replace(" ", "")
    for answer, words in (("stop", _STOPS), ("start", _STARTS), ("help", _HELPS)):
        if plain in words or joined in words:
            return answer  # type: ignore[return-value]
    parts = set(plain.split())
    if parts & _WITHIN or any(word in plain for word in _WITHIN if not word.isascii()):
        return "review"
    return ""
