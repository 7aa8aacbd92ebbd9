"""The sections that are shown at any time: trust, guards, delivery, and the registered plan with its deviations."""

from __future__ import annotations

from typing import cast

from campanile.events import MessageState
from campanile.report import charts
from campanile.report.definitions import label
from campanile.report.document import (
    Account,
    Block,
    Drawings,
    Finding,
    Findings,
    KeyFigure,
    Label,
    Section,
    Table,
    Tone,
)
from campanile.report.numbers import COUNT, PERCENT, POINTS, moment
from campanile.report.readout import Check, Delivery, GuardFinding, Readout, Trust

GUARD_WORDS: dict[str, tuple[str, Tone]] = {
    "kept": ("kept", "good"),
    "broken": ("broken", "bad"),
    "open": ("open", "care"),
    "unknown": ("unknown", "plain"),
}


def trust(found: Trust) -> Section:
    """Can it be trusted? Every check, made before any effect was looked at."""
    checks = sorted(found.checks, key=_urgency)
    return Section("trust", "Can it be trusted?", _trusted(checks), (Findings(tuple(map(_check, checks))),))


def _urgency(check: Check) -> int:
    """What ends trust first, what is in order last."""
    if check.passed is None:
        return 3
    return 4 if check.passed else ("no verdict", "no roll-out", "noted").index(check.consequence)


def _trusted(checks: list[Check]) -> str:
    groups = {rank: [check for check in checks if _urgency(check) == rank] for rank in range(5)}
    parts = []
    if groups[0]:
        parts.append(f"No: {_names(groups[0])} failed, so there is no verdict.")
    elif groups[1]:
        parts.append(f"Not enough for a roll-out: {_names(groups[1])} failed.")
    else:
        parts.append("Yes: nothing was found that puts the comparison in doubt.")
    parts.append(f"{len(groups[4])} of {len(checks)} checks passed.")
    if groups[2]:
        parts.append(f"To note: {_names(groups[2])}.")
    return " ".join(parts)


def _names(checks: list[Check]) -> str:
    return ", ".join(f"“{label(check.name).text}”" for check in checks)


def _check(check: Check) -> Finding:
    if check.passed is not False:
        tone, word = ("good", "passed") if check.passed else ("plain", "unknown")
    else:
        tone, word = ("care", "to note") if check.consequence == "noted" else ("bad", "failed")
    return Finding(label(check.name), cast(Tone, tone), word, check.detail)


def guards(readout: Readout) -> Section | None:
    """Did it do harm? The registered guards; None when none was registered."""
    found = readout.guards
    if not found:
        return None
    worst = {state: [guard for guard in found if guard.state == state] for state in GUARD_WORDS}
    if worst["broken"]:
        names = ", ".join(f"{label(guard.name).text.lower()} in {guard.arm}" for guard in worst["broken"])
        answer = f"Yes: {names} broke its limit."
    elif worst["open"] or worst["unknown"]:
        answer = "No guard is broken, but not every one is shown to be kept."
    else:
        answer = "Every registered guard was kept."
    return Section("guards", "Did it do harm?", answer, (Findings(tuple(_guard(guard) for guard in found)),))


def _guard(guard: GuardFinding) -> Finding:
    word, tone = GUARD_WORDS[guard.state]
    return Finding(label(guard.name, f"{label(guard.name).text}, {guard.arm}"), tone, word, _guard_detail(guard))


def _guard_detail(guard: GuardFinding) -> str:
    if guard.rate_treatment is None:
        return f"Limit: {guard.limit}. {guard.detail}"
    unit = POINTS if guard.relative else PERCENT
    told = f"{PERCENT.text(guard.rate_treatment)}"
    if guard.relative:
        told += f" against {PERCENT.text(guard.rate_control)} in control"
    return f"{told}; interval {unit.interval(guard.low, guard.high)}. Limit: {guard.limit}. {guard.detail}".strip()


def delivery(readout: Readout) -> Section:
    """What became of every planned message."""
    accounts = readout.delivery
    planned = sum(account.planned for account in accounts)
    if not planned:
        return Section("delivery", "What became of the messages?", "No message was planned.")
    taken = sum(account.states.get(MessageState.ACCEPTED, 0) for account in accounts)
    share = PERCENT.text(taken / planned)
    answer = f"{COUNT.text(taken)} of {COUNT.text(planned)} planned messages were accepted ({share})."
    blocks: list[Block] = []
    drawing = charts.delivery(accounts, title="Messages by state")
    if drawing is not None:
        blocks.append(Drawings((drawing,)))
    blocks.append(_states(accounts))
    reasons = _reasons(accounts)
    if reasons is not None:
        blocks.append(reasons)
    return Section("delivery", "What became of the messages?", answer, tuple(blocks))


def attribution(readout: Readout) -> Section | None:
    """What came back to the messages; None when nothing did, or nothing may be told yet."""
    found = [each for each in readout.attribution if not each.silent]
    if not found:
        return None
    names = ("delivered", "failed", "clicked", "replied", "redeemed", "unsubscribed", "complained")
    columns = (Label("Arm"), *(Label(name.capitalize()) for name in names))
    rows = tuple((Label(each.arm), tuple(COUNT.text(getattr(each, name)) for name in names)) for each in found)
    clicked, redeemed = (sum(getattr(each, name) for each in found) for name in ("clicked", "redeemed"))
    answer = (
        f"People followed links of {COUNT.text(clicked)} messages, orders used {COUNT.text(redeemed)} codes. "
        "They would often have bought anyway: what the campaign brought is told above, against control."
    )
    table = Table(Label("Messages by arm and answer"), columns, rows, "Opens and clicks of programs are left out.")
    return Section("attribution", "What came back?", answer, (table,))


def _states(accounts: tuple[Delivery, ...]) -> Table:
    states = [state for state in MessageState if any(account.states.get(state) for account in accounts)]
    columns = (Label("Arm"), label("planned"), *(label(state) for state in states))
    rows = tuple(
        (
            Label(account.arm),
            (COUNT.text(account.planned), *(COUNT.text(account.states.get(state, 0)) for state in states)),
        )
        for account in accounts
    )
    return Table(Label("Messages by arm and state"), columns, rows, "The states add up to what was planned.")


def _reasons(accounts: tuple[Delivery, ...]) -> Table | None:
    rows = tuple(
        (Label(account.arm), (state, reason, COUNT.text(number)))
        for account in accounts
        for (state, reason), number in sorted(account.reasons.items(), key=lambda item: -item[1])
    )
    if not rows:
        return None
    columns = (Label("Arm"), Label("State"), Label("Reason"), Label("Messages"))
    return Table(Label("Why messages were not accepted"), columns, rows, words=3)


def plan(readout: Readout) -> Section:
    """The registered plan, and what differs from it today."""
    setting = readout.setting
    rows = tuple(KeyFigure(Label(name), text) for name, text in readout.terms)
    registered = (
        f"Registered on {moment(setting.registered_at, setting.zone)}."
        if setting.registered_at
        else "Not registered, which happens at the first send: this is the plan as it was made."
    )
    deviations = readout.deviations
    differ = "keys differ" if len(deviations) > 1 else "key differs"
    changed = f" {len(deviations)} {differ} in the files of today; the registered values judged."
    answer = registered + (changed if deviations else " The files of today say the same.")
    blocks: list[Block] = [Account("The plan that judged", rows)]
    if deviations:
        columns = (Label("Key"), Label("Registered"), Label("Today"), Label("File"), Label("Changed by"))
        table = tuple(
            (
                Label(found.key),
                (found.registered, found.today, found.file, f"{found.who} {found.when}".strip() or "unknown"),
            )
            for found in deviations
        )
        blocks.append(Table(Label("Deviations"), columns, table, words=len(columns)))
    return Section("plan", "What was agreed beforehand?", answer, tuple(blocks))
