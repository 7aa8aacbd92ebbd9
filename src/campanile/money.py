"""Money is integer minor units everywhere; text and decimals are only at the edges.

Float sums differ from run to run under a parallel engine, integers do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

#: Currencies whose minor unit is not a hundredth (ISO 4217).
_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
#: Codes of these currencies, by the decimal places of their minor unit.
UNUSUAL = {digits: tuple(codes.split()) for digits, codes in _EXPONENTS.items()}
_DIGITS = {code: digits for digits, codes in UNUSUAL.items() for code in codes}


@dataclass(frozen=True)
class Currency:
    """An ISO 4217 currency and how its amounts are counted."""

    code: str

    @property
    def digits(self) -> int:
        """Decimal places of the minor unit."""
        return _DIGITS.get(self.code, 2)

    @property
    def scale(self) -> int:
        """Minor units in one major unit.

        >>> Currency("CNY").scale, Currency("JPY").scale
        (100, 1)
        """
        return int(10**self.digits)

    def minor(self, amount: Decimal | int) -> int:
        """Minor units of an amount in major units, halves rounded away from zero.

        >>> Currency("EUR").minor(Decimal("12.345"))
        1235
        """
        return int((Decimal(amount) * self.scale).to_integral_value(rounding=ROUND_HALF_UP))

    def major(self, minor: int | float) -> Decimal:
        """Major units of an amount in minor units, at the currency's decimal places.

        >>> Currency("EUR").major(1235)
        Decimal('12.35')
        """
        quantum = Decimal(1).scaleb(-self.digits)
        return (Decimal(str(minor)) / self.scale).quantize(quantum, rounding=ROUND_HALF_UP)

    def text(self, minor: int | float) -> str:
        """An amount for people, thousands separated.

        >>> Currency("EUR").text(123456789)
        '1,234,567.89 EUR'
        """
        return f"{self.major(minor):,} {self.code}"
