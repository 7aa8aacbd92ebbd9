"""What the name service says about a domain that mail comes from: MX, SPF, DKIM and DMARC (delivery §4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dns.resolver import Resolver

State = Literal["good", "look", "bad", "skipped"]
_SECONDS = 4.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: What it belongs to: files, keys, stores, clock, email …
        state: good; look, a person should look at it; bad, nothing can be sent like this; skipped, nobody could look.
        what: A sentence without contact data.
        cure: What to do; "" when there is nothing.
    """

    part: str
    state: State
    what: str
    cure: str = ""


class UnreachableError(Exception):
    """No name server answers."""


def examine_domain(
    domain: str, return_domain: str, selectors: tuple[str, ...], *, resolver: Resolver | None = None
) -> Iterator[Finding]:
    """The findings on a domain; one that says so when no name server answers.

    Args:
        domain: Of the sender.
        return_domain: To which mail comes back; "" when the provider has one of its own.
        selectors: Under which DKIM keys lie; without one nobody can look for them.
        resolver: Whom to ask; default is whom this machine asks.
    """
    try:
        records = _Records(resolver)
        yield _mx(records, domain)
        if return_domain:
            yield _spf(records, return_domain)
        yield _dkim(records, domain, selectors)
        yield _dmarc(records, domain)
    except UnreachableError:
        yield Finding("email", "skipped", f"no name server answers, so the records of {domain} were not looked at")


class _Records:
    def __init__(self, resolver: Resolver | None) -> None:
        import dns.exception
        import dns.resolver

        try:
            self._resolver = resolver or dns.resolver.Resolver()
        except dns.exception.DNSException:
            raise UnreachableError from None
        self._resolver.lifetime = _SECONDS

    def __call__(self, name: str, kind: str) -> list[str]:
        import dns.exception
        import dns.resolver

        try:
            answer = self._resolver.resolve(name, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError):
            raise UnreachableError from None
        if kind != "TXT":
            return [record.to_text() for record in answer]
        return [b"".join(record.strings).decode("ascii", "replace") for record in answer]


def _mx(records: _Records, domain: str) -> Finding:
    found = [record for record in records(domain, "MX") if not record.endswith(" .")]
    if found:
        return Finding("email", "good", f"{domain} takes mail (MX)")
    cure = "add MX records, so that answers and bounces come back"
    return Finding("email", "look", f"{domain} takes no mail: it has no MX record", cure)


def _spf(records: _Records, domain: str) -> Finding:
    found = [text for text in records(domain, "TXT") if text.lower().startswith("v=spf1")]
    if not found:
        cure = "add a TXT record v=spf1 … -all with the servers that send for it"
        return Finding("email", "bad", f"{domain} has no SPF record", cure)
    if len(found) > 1:
        return Finding("email", "bad", f"{domain} has {len(found)} SPF records, which counts as none", "leave one")
    if found[0].lower().split()[-1] in ("+all", "all"):
        return Finding("email", "bad", f"the SPF record of {domain} allows everybody", "end it with -all or ~all")
    return Finding("email", "good", f"{domain} says who may send for it (SPF)")


def _dkim(records: _Records, domain: str, selectors: tuple[str, ...]) -> Finding:
    if not selectors:
        cure = "write dkim_selector: under the channel, as your mail server signs"
        return Finding("email", "skipped", "no DKIM selector is known, so its key was not looked for", cure)
    for selector in selectors:
        name = f"{selector}._domainkey.{domain}"
        if any("p=" in text and "p=;" not in text.replace(" ", "") + ";" for text in records(name, "TXT")):
            return Finding("email", "good", f"the DKIM key {name} is there")
    cure = "publish the key that the server or provider signs with"
    return Finding("email", "bad", f"no DKIM key at {selectors[0]}._domainkey.{domain}", cure)


def _dmarc(records: _Records, domain: str) -> Finding:
    above = ".".join(domain.split(".")[-2:])
    for place in dict.fromkeys((domain, above)):
        if any(text.lower().startswith("v=dmarc1") for text in records(f"_dmarc.{place}", "TXT")):
            return Finding("email", "good", f"{place} has a DMARC record")
    cure = "add a TXT record at _dmarc. with v=DMARC1; p=none: Gmail, Yahoo and Microsoft ask for one of bulk senders"
    return Finding("email", "bad", f"neither {domain} nor {above} has a DMARC record", cure)
