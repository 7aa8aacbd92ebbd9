"""Signed tokens for links, and coupon codes: 42 characters that say which message, and that we made them.

A token is base64url of: key number (1 byte), message id (16), link number (2), HMAC-SHA256 cut to 12 bytes. Its purpose
is signed but not written, so that a token for a click does not unsubscribe. The keys lie in one file of the stores'
home that only its owner can read, or in an environment variable.
"""

from __future__ import annotations

import binascii
import hmac
import os
import re
import secrets
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from campanile.errors import CampanileError

#: The environment variable that replaces the file.
KEYS_VARIABLE = "CAMPANILE_TOKEN_KEYS"
_FILE = "token.keys"
_KEY = re.compile(r"(\d{1,3}):((?:[0-9a-fA-F]{2}){32,64})")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{42}")
_MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
_MAC = 12
#: No vowels, so no words; nothing that is mistaken for something else on paper.
_ALPHABET = "23456789BCDFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 10
_CURE = f"write number:key pairs, the key as 64 hex digits, into {KEYS_VARIABLE} or {_FILE}; the highest number signs"


class Purpose(StrEnum):
    """What a token may be used for."""

    CLICK = "click"
    OPEN = "open"
    UNSUBSCRIBE = "unsub"
    REPLY = "reply"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a genuine token says."""

    message_id: str
    #: Which link of the message; 0 is the only one or the main one.
    link: int


@dataclass(frozen=True)
class KeyRing:
    """The keys by number. The highest number signs, all of them verify."""

    keys: Mapping[int, bytes] = field(repr=False)

    def sign(self, purpose: Purpose, message_id: str, *, link: int = 0) -> str:
        """The token of a message for one purpose; ValueError when the id is not 32 hex digits."""
        if not _MESSAGE_ID.fullmatch(message_id):
            raise ValueError("a message id is 32 hex digits")
        number = max(self.keys)
        body = bytes([number]) + bytes.fromhex(message_id) + link.to_bytes(2, "big")
        return urlsafe_b64encode(body + self._mac(number, purpose, body)).rstrip(b"=").decode()

    def verify(self, purpose: Purpose, token: str) -> Signed | None:
        """What the token says; None when it was not made by these keys for this purpose, or is written otherwise."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            raw = urlsafe_b64decode(token + "==")
        except (binascii.Error, ValueError):
            return None
        if urlsafe_b64encode(raw).rstrip(b"=").decode() != token or raw[0] not in self.keys:
            return None
        body, mac = raw[:-_MAC], raw[-_MAC:]
        if not hmac.compare_digest(self._mac(raw[0], purpose, body), mac):
            return None
        return Signed(body[1:17].hex(), int.from_bytes(body[17:19], "big"))

    def code(self, message_id: str) -> str:
        """The coupon code of a message: ten characters that cannot be guessed; the same for the same message.

        Made with the oldest key, so that a new key changes no code. 48 bits: among a million codes the chance that any
        two are equal is 1 in 600.
        """
        key = self.keys[min(self.keys)]
        rest = int.from_bytes(hmac.digest(key, b"code\0" + message_id.encode(), "sha256")[:16], "big")
        letters = []
        for _ in range(_CODE_LENGTH):
            rest, index = divmod(rest, len(_ALPHABET))
            letters.append(_ALPHABET[index])
        return "".join(letters)

    def _mac(self, number: int, purpose: Purpose, body: bytes) -> bytes:
        return hmac.digest(self.keys[number], purpose.value.encode() + b"\0" + body, "sha256")[:_MAC]


def parse_keys(text: str, place: str) -> KeyRing:
    """The keys written as `1:hex 2:hex`, parted by spaces, commas or lines; CampanileError naming `place` otherwise."""
    keys: dict[int, bytes] = {}
    for word in text.replace(",", " ").split():
        match = _KEY.fullmatch(word)
        if match is None or int(match[1]) > 255 or int(match[1]) in keys:
            raise CampanileError(f"the keys for links in {place} cannot be read", _CURE)
        keys[int(match[1])] = bytes.fromhex(match[2])
    if not keys:
        raise CampanileError(f"there are no keys for links in {place}", _CURE)
    return KeyRing(keys)


def open_key_ring(home: Path, *, variable: str = KEYS_VARIABLE, sent: Callable[[], bool] = lambda: False) -> KeyRing:
    """The keys of the environment variable, else of the file in `home`, which is made with one new key if missing.

    Args:
        home: Folder of the stores.
        variable: Name of the environment variable.
        sent: Whether messages are out: then a missing file was lost, and a new one would answer none of their links.

    Raises:
        CampanileError: The keys cannot be read, can be read by others, or are gone although messages are out.
    """
    written = os.environ.get(variable)
    if written:
        return parse_keys(written, f"the environment variable {variable}")
    path = home / _FILE
    if not path.exists():
        if sent():
            what = (
                f"the keys for links {path} are gone: new ones would answer no link, and no refusal, of what was sent"
            )
            raise CampanileError(what, f"restore them from a backup, or write their numbers and keys into {variable}")
        _create(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(100_000).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CampanileError(
            f"{path} cannot be read: {type(error).__name__}", "restore it, or old links stop working"
        ) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise CampanileError(f"{path} can be read by others", f"chmod 600 {path}")
    return parse_keys(text, str(path))


def _create(path: Path) -> None:
    """Writes a file with one new key. Of two processes that do so at once, the first one's key stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(f"1:{secrets.token_hex(32)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
