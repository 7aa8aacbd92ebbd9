"""Programs that follow links, told by what a request says of itself. What time tells is seen in `fold`."""

from __future__ import annotations

import re

#: Words in User-Agent that people's browsers do not have: scanners, previews, libraries, the image proxies of mail.
_WORDS = re.compile(
    r"bot\b|crawl|spider|scan|preview|monitor|proofpoint|mimecast|barracuda|safelinks|ironport|symantec|trendmicro"
    r"|fireeye|fortinet|sophos|zscaler|urldefense|googleimageproxy|yahoomailproxy|facebookexternalhit|whatsapp"
    r"|slurp|headless|phantomjs|puppeteer|python-|curl|wget|libwww|okhttp|go-http-client|java/|axios|node-fetch",
    re.IGNORECASE,
)


def is_machine(method: str, agent: str) -> bool:
    """Whether a program asked, as method and User-Agent tell; a browser that says nothing of itself is one.

    >>> is_machine("GET", "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15")
    False
    >>> is_machine("HEAD", "Mozilla/5.0"), is_machine("GET", "Mozilla/5.0 (via ggpht.com GoogleImageProxy)")
    (True, True)
    """
    return method != "GET" or not agent.strip() or _WORDS.search(agent) is not None
