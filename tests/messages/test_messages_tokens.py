"""Tokens and codes: nothing that we did not make, for this purpose and this message, is taken."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from base64 import urlsafe_b64decode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campanile.errors import CampanileError
from campanile.messages.tokens import KeyRing, Purpose, Signed, open_key_ring, parse_keys

KEYS = KeyRing({1: b"1" * 32, 7: b"7" * 32})
ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
links = st.integers(0, 65535)
purposes = st.sampled_from(Purpose)
URL_SAFE = string.ascii_letters + string.digits + "-_"


@given(ids, links, purposes)
def test_a_token_says_what_was_signed(message_id, link, purpose):
    token = KEYS.sign(purpose, message_id, link=link)
    assert len(token) == 42
    assert set(token) <= set(URL_SAFE)
    assert KEYS.verify(purpose, token) == Signed(message_id, link)


@given(ids, links, purposes, purposes)
def test_a_token_serves_one_purpose(message_id, link, purpose, other):
    assume(purpose != other)
    assert KEYS.verify(other, KEYS.sign(purpose, message_id, link=link)) is None


@given(ids, ids, purposes)
def test_tokens_of_different_messages_differ_in_their_signature(first, second, purpose):
    assume(first != second)
    one, two = (urlsafe_b64decode(KEYS.sign(purpose, value) + "==") for value in (first, second))
    assert one[-12:] != two[-12:]
    spliced = KEYS.sign(purpose, first)[:25] + KEYS.sign(purpose, second)[25:]
    assert KEYS.verify(purpose, spliced) is None


@given(ids, purposes, st.integers(0, 41), st.sampled_from(URL_SAFE))
def test_no_changed_character_goes_unnoticed(message_id, purpose, at, mark):
    token = KEYS.sign(purpose, message_id)
    assume(token[at] != mark)
    assert KEYS.verify(purpose, token[:at] + mark + token[at + 1 :]) is None


@given(ids)
def test_only_the_canonical_spelling_is_taken(message_id):
    """42 characters hold 252 bits, the token 248: sixteen spellings decode to the same bytes."""
    token = KEYS.sign(Purpose.CLICK, message_id)
    taken = [last for last in URL_SAFE if KEYS.verify(Purpose.CLICK, token[:-1] + last)]
    assert taken == [token[-1]]
    for spelling in (
        token + "=",
        token + "==",
        " " + token,
        token + "\n",
        token[:-1],
        token.replace(token[0], "é", 1),
        "",
    ):
        assert KEYS.verify(Purpose.CLICK, spelling) is None


@given(st.text(max_size=60))
def test_any_text_may_be_asked(text):
    assert KEYS.verify(Purpose.UNSUBSCRIBE, text) is None


@given(st.text(URL_SAFE, min_size=42, max_size=42))
def test_no_guess_is_taken(text):
    assert KEYS.verify(Purpose.UNSUBSCRIBE, text) is None


def test_keys_are_rotated():
    message_id = "ab" * 16
    old = KeyRing({1: b"1" * 32})
    token = old.sign(Purpose.CLICK, message_id)
    assert KEYS.verify(Purpose.CLICK, token) == Signed(message_id, 0)
    assert KEYS.sign(Purpose.CLICK, message_id) != token
    assert old.verify(Purpose.CLICK, KEYS.sign(Purpose.CLICK, message_id)) is None
    assert KeyRing({7: b"7" * 32}).verify(Purpose.CLICK, token) is None
    assert KeyRing({1: b"x" * 32}).verify(Purpose.CLICK, token) is None
    assert old.code(message_id) == KEYS.code(message_id)


def test_a_known_token_stays_as_it_is():
    """Tokens are in mails for months: their making may not change."""
    assert KEYS.sign(Purpose.UNSUBSCRIBE, "00112233445566778899aabbccddeeff", link=3) == (
        "BwARIjNEVWZ3iJmqu8zd7v8AA7_hF0oL2fziVf6fSA"
    )
    assert KEYS.code("00112233445566778899aabbccddeeff") == "FKX4NSR8JT"


def test_message_ids_must_be_ids():
    for wrong in ("", "ab", "g" * 32, "AB" * 16, "ab" * 16 + "\n"):
        with pytest.raises(ValueError, match="32 hex digits"):
            KEYS.sign(Purpose.CLICK, wrong)


@given(st.lists(ids, min_size=2, max_size=50, unique=True))
def test_codes_are_readable_and_differ(message_ids):
    codes = [KEYS.code(message_id) for message_id in message_ids]
    assert len(set(codes)) == len(codes)
    assert all(
        len(code) == 10 and set(code).isdisjoint("AEIOU01IL") and code.isupper() | code.isdigit() for code in codes
    )


def test_codes_use_the_whole_alphabet():
    from collections import Counter

    counts = Counter("".join(KEYS.code(f"{number:032x}") for number in range(3000)))
    assert len(counts) == 28
    assert max(counts.values()) / min(counts.values()) < 1.25


def test_the_file_is_made_once_and_only_for_its_owner(tmp_path):
    home = tmp_path / "runs"
    first = open_key_ring(home)
    assert oct((home / "token.keys").stat().st_mode)[-3:] == "600"
    assert list(home.iterdir()) == [home / "token.keys"]
    assert open_key_ring(home).keys == first.keys
    assert len(first.keys[1]) == 32
    assert open_key_ring(tmp_path / "other").keys != first.keys
    assert first.keys[1].hex() not in repr(first)


def test_processes_that_start_at_once_agree(tmp_path):
    code = (
        "import sys; from pathlib import Path; from campanile.messages.tokens import open_key_ring;"
        "print(open_key_ring(Path(sys.argv[1])).keys[1].hex())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "runs")], stdout=subprocess.PIPE) for _ in range(6)
    ]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1


def test_the_environment_replaces_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_KEYS", f"1:{'ab' * 32}, 2:{'cd' * 32}")
    keys = open_key_ring(tmp_path, variable="SHOP_KEYS")
    assert keys.keys == {1: b"\xab" * 32, 2: b"\xcd" * 32}
    assert not (tmp_path / "token.keys").exists()


@pytest.mark.parametrize(
    "text", ["", "  \n", "1", "1:", "1:zz", f"1:{'ab' * 31}", f"256:{'ab' * 32}", f"1:{'ab' * 32} 1:{'cd' * 32}", "x:y"]
)
def test_unreadable_keys_are_refused_without_showing_them(text):
    with pytest.raises(CampanileError) as caught:
        parse_keys(text, "the file")
    assert "ab" * 31 not in str(caught.value)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    open_key_ring(tmp_path)
    os.chmod(tmp_path / "token.keys", 0o640)
    with pytest.raises(CampanileError, match="chmod 600"):
        open_key_ring(tmp_path)


def test_an_unreadable_file_is_a_sentence(tmp_path):
    (tmp_path / "token.keys").write_bytes(b"\xff\xfe")
    with pytest.raises(CampanileError, match="cannot be read"):
        open_key_ring(tmp_path)
