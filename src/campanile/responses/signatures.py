"""Whether a request was made by whom it says: over the raw bytes, with every key that is in force, in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from campanile.errors import CampanileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

#: Only so can the border between timestamp and body not be shifted.
_SECONDS = re.compile(r"[0-9]{10}")
_LONGEST = 200
#: A signed request of another system may be this much older than our clock, or younger.
WINDOW = 300


def sendgrid_keys(text: str) -> list[EllipticCurvePublicKey]:
    """The public keys written in a text, parted by white space or commas; CampanileError when one cannot be read."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    found = []
    for word in text.replace(",", " ").split():
        try:
            key = load_der_public_key(base64.b64decode(word, validate=True))
        except (binascii.Error, ValueError):
            key = None
        if not isinstance(key, EllipticCurvePublicKey):
            what = "a public key of SendGrid's event webhook cannot be read"
            raise CampanileError(what, "copy it from SendGrid's settings; several are parted by spaces")
        found.append(key)
    return found


def sendgrid_signed(keys: Iterable[EllipticCurvePublicKey], body: bytes, signature: str, timestamp: str) -> bool:
    """Whether one of the keys signed timestamp and body.

    There is no window of time: SendGrid comes again for a day, and nobody has written whether it signs anew. The inbox
    takes every event once, which is the defence against replay.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not _SECONDS.fullmatch(timestamp) or not 0 < len(signature) <= _LONGEST:
        return False
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    for key in keys:
        try:
            key.verify(raw, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def twilio_signed(
    tokens: Sequence[str], url: str, fields: Sequence[tuple[str, str]], signature: str, *, body: bytes | None = None
) -> bool:
    """Whether Twilio signed this request to that address with one of the tokens.

    Args:
        tokens: Auth tokens in force.
        url: The public address that Twilio was told, query included; never what the request says of itself.
        fields: The form's fields in any order.
        signature: X-Twilio-Signature.
        body: The raw body of a request that is no form; its hash must stand in the address.
    """
    if not signature or len(signature) > _LONGEST or not signature.isascii():
        return False
    if body is not None:
        named = re.search(r"[?&]bodySHA256=([0-9a-f]{64})(?:&|$)", url)
        if named is None or not hmac.compare_digest(named[1], hashlib.sha256(body).hexdigest()):
            return False
        fields = ()
    grouped: dict[str, set[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, set()).add(value)
    said = "".join(name + value for name in sorted(grouped) for value in sorted(grouped[name]))
    genuine = False
    for token in tokens:
        for address in _ports(url):
            mac = base64.b64encode(hmac.digest(token.encode(), (address + said).encode(), "sha1")).decode()
            genuine |= hmac.compare_digest(mac, signature)
    return genuine


def _ports(url: str) -> Iterable[str]:
    """The address without and with its port: Twilio has signed both ways."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 443)
    return [urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, f"{host}:{port}")]


def generic_signature(secret: str, timestamp: str, body: bytes) -> str:
    """What another system writes into Campanile-Signature.

    >>> generic_signature("secret", "1772700000", b"{}")[:12]
    'v1=d7aa8c7a5'
    """
    return f"v1={hmac.digest(secret.encode(), timestamp.encode() + b'.' + body, 'sha256').hex()}"


def generic_signed(secrets: Sequence[str], body: bytes, signature: str, timestamp: str, *, now: datetime) -> bool:
    """Whether one of the secrets signed this body at that moment, and the moment is near."""
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > WINDOW:
        return False
    return any_equal([generic_signature(secret, timestamp, body) for secret in secrets], signature)


def any_equal(known: Iterable[str], given: str) -> bool:
    """Whether what was given is one of the known secrets; takes as long whichever it is."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    found = False
    for each in known:
        found |= hmac.compare_digest(hashlib.sha256(each.encode()).digest(), digest)
    return found


def secrets_of(environment: Mapping[str, str], name: str) -> list[str]:
    """The secrets in an environment variable, parted by white space; none when the name or the variable is empty.

    >>> secrets_of({"KEYS": "new old"}, "KEYS"), secrets_of({}, "KEYS")
    (['new', 'old'], [])
    """
    return environment.get(name, "").split() if name else []
