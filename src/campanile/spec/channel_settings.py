"""How messages of one medium leave the house: `channels` of campanile.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from campanile.spec.connections import MailSender, Port, Seconds, VariableName, base_url
from campanile.spec.fields import HeaderLine, Spec, Unreadable, Whole, YesNo
from campanile.spec.gateway import Gateway
from campanile.spec.sms_rules import SmsRules, signature_problem

Via = Literal["smtp", "sendgrid", "twilio", "http", "export", "outbox"]

#: The media that a channel can carry, where it cannot carry all.
CARRIED: Mapping[str, tuple[str, ...]] = {
    "smtp": ("email",),
    "sendgrid": ("email",),
    "twilio": ("sms",),
    "http": ("sms",),
}

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SERVICE = re.compile(r"MG[0-9a-f]{32}")
_NUMBER = re.compile(r"\+[1-9]\d{4,14}|[A-Za-z0-9 ]{1,11}|\d{3,8}")
#: Keys that mean something to these ways only. An outbox takes any, so that a channel is switched off in a word.
_OF: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("port", "security", "username", "password_env", "bounces"), ("smtp",)),
    **dict.fromkeys(("region", "unsubscribe_group", "sandbox"), ("sendgrid",)),
    "dkim_selector": ("smtp", "sendgrid"),
    **dict.fromkeys(("account_sid_env", "api_secret_env", "messaging_service", "number"), ("twilio",)),
    "api_key_env": ("sendgrid", "twilio"),
    "gateway": ("http",),
    "format": ("export",),
    "host": ("smtp", "sendgrid", "twilio"),
}
#: What each way cannot do without, and how it is written.
_NEEDS: Mapping[str, Mapping[str, str]] = {
    "smtp": {"host": "host: smtp.example.com", "sender": "sender: Shop <news@example.com>"},
    "sendgrid": {"api_key_env": "api_key_env: SENDGRID_API_KEY", "sender": "sender: Shop <news@example.com>"},
    "twilio": {
        "account_sid_env": "account_sid_env: TWILIO_ACCOUNT_SID",
        "api_key_env": "api_key_env: TWILIO_API_KEY",
        "api_secret_env": "api_secret_env: TWILIO_API_SECRET",
    },
    "http": {"gateway": "gateway: {url: https://…, form: {…}, answers: {…}}"},
}


class ChannelSettings(Spec):
    """How messages of one medium leave the house."""

    via: Via = Field(
        description="smtp hands mail over to a mail server, sendgrid to SendGrid; twilio hands SMS over to Twilio; "
        "http to a gateway that is described here; export writes lists for others to send, outbox one file a message."
    )
    host: HeaderLine = Field(
        "", description="Mail server; for sendgrid and twilio the address of the web to ask instead of their own."
    )
    port: Port = Field(587, description="Port of the mail server.")
    security: Literal["none", "starttls", "tls"] = Field("starttls", description="How the connection is protected.")
    username: HeaderLine = Field("", description="Name to log in with; without it nobody logs in.")
    password_env: VariableName = Field("", description="Environment variable that holds the password.")
    sender: MailSender = Field("", description="From of every mail.")
    reply_to: MailSender = Field("", description="Where answers go.")
    bounces: MailSender = Field(
        "",
        description="Where mail servers send back what they cannot deliver; the id of the message is written into it, "
        "as in bounces+id@example.com. Default: the sender, without an id.",
    )
    dkim_selector: HeaderLine = Field(
        "", description="Under which name the DKIM key of the sender's domain lies; only `campanile doctor` reads it."
    )
    connections: Whole = Field(8, description="Connections kept open to the server.")
    timeout: Seconds = Field(
        30.0, description="Seconds to wait for an answer; then the message is unknown, never sent again by itself."
    )
    unsubscribe_mailto: MailSender = Field("", description="Mail address that takes unsubscribe requests.")
    signature: HeaderLine = Field("", description="Signature in front of every SMS, as in 【优选】.")
    rules: SmsRules | None = Field(None, description="Rules of a country for every SMS; without it there are none.")
    api_key_env: VariableName = Field("", description="Environment variable that holds the key of SendGrid or Twilio.")
    region: Literal["global", "eu"] = Field("global", description="Where SendGrid keeps what it is handed.")
    unsubscribe_group: Whole | None = Field(
        None, description="SendGrid's suppression group (asm), a second net below our own suppressions."
    )
    sandbox: YesNo = Field(
        default=False, description="Whether SendGrid only checks mails (sandbox mode) and delivers none."
    )
    account_sid_env: VariableName = Field("", description="Environment variable that holds the account SID of Twilio.")
    api_secret_env: VariableName = Field("", description="Environment variable that holds the secret of Twilio's key.")
    messaging_service: HeaderLine = Field("", description="SID of the messaging service, MG…, that chooses a sender.")
    format: Literal["csv", "xlsx"] = Field("csv", description="How lists of `via: export` are written.")
    gateway: Gateway | None = Field(None, description="The gateway of `via: http`.")
    number: HeaderLine = Field("", description="Number or name that SMS come from, where no messaging service does it.")

    @model_validator(mode="after")
    def _is_complete(self) -> ChannelSettings:
        if self.rules and (problem := signature_problem(self.signature)):
            raise Unreadable(*problem)
        if self.via == "outbox":
            return self
        for key in sorted(self.model_fields_set & _OF.keys()):
            if self.via not in _OF[key]:
                raise Unreadable(f"{self.via} knows no {key}", f"remove it: it is for {' and '.join(_OF[key])}")
        for key, example in _NEEDS.get(self.via, {}).items():
            if not getattr(self, key):
                raise Unreadable(f"{self.via} needs {key}", f"add {example}")
        if self.via == "smtp":
            self._check_smtp()
        elif self.via == "twilio":
            self._check_twilio()
        elif self.via != "export":
            self._check_web(self.gateway.url if self.gateway else self.host)
        return self

    def _check_smtp(self) -> None:
        if self.username and not self.password_env:
            raise Unreadable("username without password_env", "name the environment variable that holds the password")
        if self.username and self.security == "none" and self.host not in _LOOPBACK:
            raise Unreadable("the password would cross the network unprotected", "write security: starttls")

    def _check_web(self, asked: str) -> None:
        """A server of the web that gets a key is asked over https, but for one on this machine."""
        if not asked:
            return
        address = urlsplit(base_url(asked))
        if address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise Unreadable("the key would cross the network unprotected", "write https://…")

    def _check_twilio(self) -> None:
        self._check_web(self.host)
        if bool(self.messaging_service) == bool(self.number):
            what = "twilio needs messaging_service or number" + (", not both" if self.number else "")
            raise Unreadable(what, "write messaging_service: MG… as Twilio's console shows it")
        if self.messaging_service and not _SERVICE.fullmatch(self.messaging_service):
            what = "messaging_service wants MG and 32 digits or letters a-f"
            raise Unreadable(what, "copy it from Twilio's console")
        if self.number and not _NUMBER.fullmatch(self.number):
            raise Unreadable("number wants a telephone number, a short code or a name", "write it as in +15551234567")
