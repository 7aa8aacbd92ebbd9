"""A forgotten customer is gone from both stores and the files, and every figure stays what it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import select, update

from campanile import clock
from campanile.channels import OutboxChannel, SmtpChannel
from campanile.channels.export import ExportChannel
from campanile.channels.gateway import GatewayChannel
from campanile.channels.sendgrid import SendgridChannel
from campanile.channels.twilio import TwilioChannel
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.errors import CampanileError
from campanile.ledger import Ledger, tables
from campanile.ledger.refusals import KEY_VARIABLE
from campanile.readout.read import read_out
from campanile.report.jsonable import jsonable
from campanile.responses import own
from campanile.responses.forget import _ASK, disclose, forget, forget_again
from campanile.responses.inbox import Arrival, keep
from campanile.responses.process import process
from campanile.sending.run import run_campaign
from campanile.spec.channel_settings import Via
from campanile.spec.project import Project
from conftest import AFTER, DUE, planned

WHY = "asked by letter on 2026-04-08"


@pytest.fixture
def sent(shop: Project) -> Project:
    """The example campaign, sent, answered by the customer whom the tests forget."""
    planned(shop)
    run_campaign(shop, "winback", mode="send", now=lambda: DUE + timedelta(hours=5))
    with Ledger.open(shop.ledger_place) as ledger:
        row = somebody(ledger)
        said = {
            "type": "inbound",
            "message_id": row["message_id"],
            "words": "please call, says Li",
            "at": clock.iso(DUE),
        }
        with ledger.writing() as connection:
            keep(connection, [Arrival(own.GENERIC, "g1", own.written(said))], DUE)
        process(ledger)
    return shop


def somebody(ledger: Ledger) -> dict[str, str]:
    query = select(tables.message).where(tables.message.c.state == "accepted").order_by(tables.message.c.message_id)
    with ledger.reading() as connection:
        return dict(connection.execute(query.limit(1)).one()._mapping)


def forgotten(project: Project, customer_id: str) -> object:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        return forget(project, customer_id, database=database, ledger=ledger, why=WHY, now=AFTER)


def figures(project: Project) -> dict[str, object]:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        return json.loads(
            json.dumps(jsonable(read_out(project, "winback", database=database, ledger=ledger, now=AFTER)), default=str)
        )


def test_the_readout_stays_the_same_and_nothing_of_the_person_is_left(sent: Project) -> None:
    with Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
    before = figures(sent)
    answered = before["attribution"]
    assert isinstance(answered, list)
    assert [(each["arm"], each["replied"]) for each in answered] == [("treatment", 1)]
    done = forgotten(sent, person["customer_id"])
    assert (done.records, done.messages, done.snapshots) == (1, 1, 1)  # type: ignore[attr-defined]
    assert done.rows > 0  # type: ignore[attr-defined]
    assert done.files >= 1  # type: ignore[attr-defined]
    assert figures(sent) == before
    traces = (person["customer_id"], person["address"], person["message_id"], "says Li")
    with CustomerDatabase.open(sent) as database, Ledger.open(sent.ledger_place) as ledger:
        with pytest.raises(CampanileError, match="no such customer"):
            disclose(person["customer_id"], sent.home / "x.json", database=database, ledger=ledger, now=AFTER)
        dumped = repr([database.own(name).to_pyarrow().to_pylist() for name in database.own_tables()])
        dumped += repr([database.records(name).to_pyarrow().to_pylist() for name in database.tables()])
        with ledger.reading() as connection:
            for table in tables.metadata.tables.values():
                dumped += repr(connection.execute(select(table)).all())
    for trace in traces:
        assert trace not in dumped
    for path in (sent.home / "outbox").rglob("*"):
        assert person["message_id"] not in path.name


def test_the_address_stays_suppressed_when_the_shop_imports_it_again(sent: Project) -> None:
    with Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
    orders = _orders(sent)
    forgotten(sent, person["customer_id"])
    with CustomerDatabase.open(sent) as database, Ledger.open(sent.ledger_place) as ledger:
        import_tables(sent, database)
        assert forget_again(database, ledger) == 1
        assert forget_again(database, ledger) == 0
    assert _orders(sent) == orders
    with CustomerDatabase.open(sent) as database, Ledger.open(sent.ledger_place) as ledger:
        from campanile.ledger.refusals import erased_among

        addresses = [("email", person["address"]), ("email", "somebody@else.example")]
        assert list(erased_among(ledger, addresses)) == [("email", person["address"].lower())]


def _orders(project: Project) -> int:
    with CustomerDatabase.open(project) as database:
        return int(database.records("order").count().execute())


def test_without_the_key_of_hashes_nothing_is_sent(sent: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from campanile.ledger.refusals import refused
    from support.plans import planned as message

    with Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
    forgotten(sent, person["customer_id"])
    key = sent.home / "erasure.key"
    written = key.read_text(encoding="ascii").strip()
    assert key.stat().st_mode & 0o777 == 0o600
    again = message(1, address=person["address"])
    key.unlink()
    with Ledger.open(sent.ledger_place) as ledger, ledger.reading() as connection:
        with pytest.raises(CampanileError, match="nobody can say who had refused"):
            refused(ledger, connection, [again])
        monkeypatch.setenv(KEY_VARIABLE, written)
        assert refused(ledger, connection, [again, message(2)]) == {again.message_id}
        shared = message(3, address=person["address"].upper())
        assert refused(ledger, connection, [again, shared, message(2)]) == {again.message_id, shared.message_id}


def test_forgetting_twice_or_after_a_kill_comes_to_the_same(sent: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
    before = figures(sent)
    import campanile.responses.forget as room

    for step in ("_rewrite_snapshots", "_remove_files", "customers.replace_customers", "ledgers.finished"):
        owner, _, name = step.rpartition(".")
        place = getattr(room, owner) if owner else room
        with monkeypatch.context() as patch:
            patch.setattr(place, name, _killed)
            with pytest.raises(KeyboardInterrupt):
                forgotten(sent, person["customer_id"])
    forgotten(sent, person["customer_id"])
    forgotten(sent, person["customer_id"])
    assert figures(sent) == before
    assert len(list((sent.home / "snapshots" / "winback").glob("*.parquet"))) == 1
    assert [path for path in (sent.home / "outbox").rglob("*") if person["message_id"] in path.name] == []


def _killed(*_args: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_exported_lists_forget_too_and_whoever_has_them_is_named(shop: Project) -> None:
    mail = shop.settings.channels["email"].model_copy(update={"via": "export"})
    channels = {**shop.settings.channels, "email": mail}
    project = replace(shop, settings=shop.settings.model_copy(update={"channels": channels}))
    planned(project)
    run_campaign(project, "winback", mode="send", now=lambda: DUE + timedelta(hours=5))
    with Ledger.open(project.ledger_place) as ledger:
        person = somebody(ledger)
    files = [path for path in project.outbox_dir.rglob("*") if path.is_file()]
    assert sum(person["address"].encode() in path.read_bytes() for path in files) == 2, "the journal and one list"
    done = forgotten(project, person["customer_id"])
    assert list(done.ask) == ["whoever was given the lists of `via: export`: erase the customer from them"]  # type: ignore[attr-defined]
    assert done.files >= 1  # type: ignore[attr-defined]
    for path in files:
        assert person["address"].encode() not in path.read_bytes()
        assert person["message_id"].encode() not in path.read_bytes()


@pytest.mark.parametrize(("channel", "who"), [("gateway", "the SMS gateway"), ("smtp", "the mail server")])
def test_whoever_took_a_message_is_named_even_when_they_gave_it_no_id(sent: Project, channel: str, who: str) -> None:
    with Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
        mine = tables.attempt.c.message_id == person["message_id"]
        with ledger.writing() as connection:
            connection.execute(update(tables.attempt).where(mine).values(channel=channel, provider_id=""))
    (asked,) = forgotten(sent, person["customer_id"]).to_json()["ask"]  # type: ignore[attr-defined]
    assert asked["who"].startswith(who)
    assert asked["ids"] == []


def test_every_way_to_send_says_whom_to_ask() -> None:
    ways = (ExportChannel, GatewayChannel, OutboxChannel, SendgridChannel, SmtpChannel, TwilioChannel)
    assert len(ways) == len(get_args(Via))
    # What an outbox holds is removed.
    assert set(_ASK) == {way.name for way in ways} - {"outbox"}


def test_a_person_is_told_everything(sent: Project, tmp_path: Path) -> None:
    with CustomerDatabase.open(sent) as database, Ledger.open(sent.ledger_place) as ledger:
        person = somebody(ledger)
        file = tmp_path / "person.json"
        rows = disclose(person["customer_id"], file, database=database, ledger=ledger, now=AFTER)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert document["customers"]["customers"][0]["email"].lower() == person["address"].lower()
    assert document["ledger"]["delivery_event"][0]["words"] == "please call, says Li"
    assert rows == sum(len(each) for store in ("customers", "ledger") for each in document[store].values())


def test_nobody_is_forgotten_by_a_misspelt_id(shop: Project) -> None:
    shutil.rmtree(shop.snapshots_dir, ignore_errors=True)
    with pytest.raises(CampanileError, match="no such customer"):
        forgotten(shop, "C-none")
