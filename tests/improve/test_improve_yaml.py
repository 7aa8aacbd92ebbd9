"""What a proposal writes, the strict loader reads back as the same data."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from campanile.improve.draft import in_order
from campanile.improve.yaml_text import yaml_text
from campanile.spec.loader import FileReport, load_document

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x9FFF, exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")))
SCALARS = (
    TEXT
    | st.integers(-(10**9), 10**9)
    | st.booleans()
    | st.none()
    | st.decimals(0, 10**6, places=2, allow_nan=False).map(lambda number: number + Decimal("0.01"))
)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT.filter(bool), inner), max_leaves=12)


def read(text: str) -> object:
    with TemporaryDirectory() as place:
        path = Path(place) / "x.yaml"
        path.write_text(text, encoding="utf-8")
        report = FileReport("x.yaml")
        document = load_document(path, Path(place), report)
        assert not report.problems, (list(report.problems), text)
        assert document is not None
        return document.data


@given(st.dictionaries(TEXT.filter(bool), DATA, min_size=1))
@example({"at": "10:30", "start": "2026-03-05", "off": "10%", "no": "NO", "octal": "010", "rule": "over 300"})
@example({"kind": "null", "key: x": ["a, b", "- c", "[d]", "#e", "it's", 'q"', "a #b", "~", "=", "0x1F", "1e3"]})
@example({"a": {"b": [{"c": {"d": [Decimal("0.50")]}}]}, "e": [], "f": {}, "g": ""})
def test_every_plain_data_is_read_back_as_it_was(data: dict[str, object]) -> None:
    text = yaml_text(data, comments=dict.fromkeys(data, "Why: this, and # that."), head=("A head\nof two lines",))
    assert read(text) == data
    assert all(len(line) <= 120 for line in text.splitlines() if line.startswith("#"))


def test_people_read_the_keys_in_the_order_in_which_they_write_them() -> None:
    data = {
        "channel": {"message": "m", "use": "sms"},
        "objective": "growth",
        "target": {"except": [], "who": [{"z": 1}]},
    }
    assert list(in_order(data)) == ["objective", "target", "channel"]
    assert list(in_order(data)["channel"]) == ["use", "message"]
    assert in_order(data) == data
