"""How responses are collected: what `campanile serve` believes, how much it takes, and for how long it is kept."""

from __future__ import annotations

from pydantic import Field

from campanile.spec.connections import VariableName
from campanile.spec.fields import Days, HeaderLine, Spec, Text, Whole


class ResponsesSettings(Spec):
    """What `campanile serve` believes, how much it takes, and how long answers are kept."""

    sendgrid_keys_env: VariableName = Field(
        "SENDGRID_WEBHOOK_KEYS",
        description="Environment variable with the public keys of SendGrid's event webhook, parted by spaces; while a "
        "key is being changed, both. Without it /hooks/sendgrid refuses everything.",
    )
    twilio_tokens_env: VariableName = Field(
        "TWILIO_AUTH_TOKEN",
        description="Environment variable with Twilio's auth tokens, parted by spaces. Without it /hooks/twilio "
        "refuses everything.",
    )
    hook_secrets_env: VariableName = Field(
        "CAMPANILE_HOOK_SECRETS",
        description="Environment variable with the secrets that other systems sign /hooks/generic with, parted by "
        "spaces. Without it that address refuses everything.",
    )
    shop_keys_env: VariableName = Field(
        "CAMPANILE_SHOP_KEYS",
        description="Environment variable with the keys of shop systems that redeem coupons, parted by spaces. Without "
        "it /coupons/redeem refuses everything.",
    )
    backlog: Whole = Field(
        200_000, description="So many events may wait to be processed; beyond, providers are asked to come again."
    )
    hits_per_second: Whole = Field(
        50, description="So many requests to links one network may make in a second; more are asked to come again."
    )
    trusted_proxies: HeaderLine = Field(
        "127.0.0.1", description="Addresses whose X-Forwarded-For is believed, parted by commas."
    )
    keep_raw: Days = Field(180, description="How long what providers sent is kept as it came; the events stay.")
    silence: Days = Field(
        1, description="When a provider took messages and told nothing for so long, somebody is told."
    )
    phone: Text = Field("", description="Telephone number shown on the reply form, as another way to answer.")
