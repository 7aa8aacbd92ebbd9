"""What a file names elsewhere must exist: channels, templates, arms, experiments, customer fields, tables and columns.

Works on the plain data of the files, so that a mistake in one key hides no mistake in another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from campanile.errors import did_you_mean
from campanile.events import CONTROL
from campanile.spec.channel_settings import CARRIED
from campanile.spec.fields import MEDIA, NAME
from campanile.spec.loader import FileReport, Path_
from campanile.spec.vocabulary import FieldType, Vocabulary

#: Files of a message, by medium: templates/<message><suffix>.
TEMPLATE_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "email": (".subject.j2", ".html.j2", ".txt.j2"),
    "sms": (".sms.j2",),
}

#: Columns that the product reads although no target can name them: whether an order counts is not a matter of taste.
OWN_COLUMNS: Mapping[str, Mapping[str, FieldType]] = {"order": {"state": FieldType.TEXT}}

#: Customer fields that an assignment never holds.
CONTACT_FIELDS = frozenset({"name", "last_name", "email", "phone", "address"})


#: The cure for a field that nothing is like.
FIELDS_LISTED = "docs/reference/segments.md lists all fields"


@dataclass(frozen=True)
class SpecFile:
    """One file: its name without .yaml, its data ({} when it has none to check further), its report."""

    name: str
    data: Mapping[str, object]
    report: FileReport

    @property
    def readable(self) -> bool:
        """Whether there is anything to check."""
        return bool(self.data)


def part(data: object, *at: str) -> object:
    """What stands at this place; None when there is nothing.

    >>> part({"channel": {"use": "sms"}}, "channel", "use")
    'sms'
    """
    for key in at:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def keys(data: object, *at: str) -> tuple[str, ...]:
    """The keys at this place; none when there are no keys."""
    found = part(data, *at)
    return tuple(found) if isinstance(found, Mapping) else ()


def check_campaign(campaign: SpecFile, *, root: Path, settings: SpecFile, experiment: SpecFile | None) -> None:
    """Reports what a campaign names that is not there."""
    if not campaign.readable:
        return
    _check_channel(campaign, settings)
    _check_price(campaign, settings)
    _check_templates(campaign, root / "templates")
    _check_pair(campaign, experiment)
    if CONTROL in keys(campaign.data, "arms"):
        campaign.report(("arms", CONTROL), "control gets nothing, so it changes nothing", "remove it from arms")


def _check_channel(campaign: SpecFile, settings: SpecFile) -> None:
    medium = part(campaign.data, "channel", "use")
    if settings.readable and medium in MEDIA and medium not in keys(settings.data, "channels"):
        what = f"campanile.yaml has no channel for {medium}"
        campaign.report(("channel", "use"), what, f"add it there under channels, as in {medium}: {{via: outbox}}")


def _check_price(campaign: SpecFile, settings: SpecFile) -> None:
    """Reports a medium that nobody wrote a price for: a forgotten price would be read as a free message."""
    medium = part(campaign.data, "channel", "use")
    own = part(campaign.data, "costs", "per_message")
    known = keys(settings.data, "economics", "cost_per_message")
    if settings.readable and medium in MEDIA and own is None and medium not in known:
        what = f"nobody says what a message by {medium} costs"
        cure = f"add it to campanile.yaml under economics, as in cost_per_message: {{{medium}: 0.01}}; a free one is 0"
        campaign.report(("channel", "use"), what, cure)


def _check_templates(campaign: SpecFile, folder: Path) -> None:
    medium = part(campaign.data, "channel", "use")
    if not isinstance(medium, str) or medium not in TEMPLATE_SUFFIXES:
        return
    suffixes = TEMPLATE_SUFFIXES[medium]
    there = sorted(path.name for path in folder.glob("*.j2") if not path.name.startswith("_"))
    for at, message in _messages(campaign.data):
        missing = [f"templates/{message}{suffix}" for suffix in suffixes if not _is_there(message, suffix, there)]
        if missing:
            campaign.report(at, f"no template {', '.join(missing)}", _template_cure(message, there, suffixes))


def _is_there(message: str, suffix: str, there: list[str]) -> bool:
    """Whether a part of a message is there; the HTML of a mail may be written as MJML."""
    return message + suffix in there or (suffix == ".html.j2" and f"{message}.mjml.j2" in there)


def _template_cure(message: str, there: list[str], suffixes: tuple[str, ...]) -> str:
    """What to do about a missing template: the message that was meant, else what there is."""
    names = dict.fromkeys(file.removesuffix(end) for file in there for end in suffixes if file.endswith(end))
    if message in names:
        return f"add it; templates/ has {', '.join(file for file in there if file.startswith(message + '.'))}"
    meant = did_you_mean(message, names)
    return meant if meant.startswith("did") else f"templates/ has {', '.join(there) or 'no messages yet'}"


def _messages(data: Mapping[str, object]) -> Iterator[tuple[Path_, str]]:
    """The messages that a campaign names, and where."""
    places: list[tuple[str, ...]] = [("channel", "message"), ("timing", "remind", "message")]
    places += [("arms", arm, "message") for arm in keys(data, "arms")]
    for at in places:
        message = part(data, *at)
        if isinstance(message, str) and NAME.fullmatch(message):
            yield at, message


def _check_pair(campaign: SpecFile, experiment: SpecFile | None) -> None:
    path = f"experiments/{campaign.name}.yaml"
    unmeasured = part(campaign.data, "experiment") == "none"
    if unmeasured and not part(campaign.data, "why"):
        campaign.report(("experiment",), "experiment: none needs a reason", "add why: and one sentence")
    if experiment is None and not unmeasured:
        cure = "commit one, or write experiment: none and why: with the reason"
        campaign.report((), f"the campaign has no experiment {path}", cure)
    elif experiment is None and keys(campaign.data, "arms"):
        campaign.report(("arms",), "arms without an experiment cannot be told apart", f"write {path}, or remove arms")
    elif experiment is not None and unmeasured:
        campaign.report(("experiment",), f"experiment: none, but there is {path}", "remove one of the two")
    elif experiment is not None and experiment.readable:
        _check_arms(campaign, experiment)


def _check_arms(campaign: SpecFile, experiment: SpecFile) -> None:
    arms = [arm for arm in keys(campaign.data, "arms") if arm != CONTROL]
    treatments = [arm for arm in keys(experiment.data, "split") if arm != CONTROL]
    if not treatments or (part(campaign.data, "arms") is not None and not keys(campaign.data, "arms")):
        return
    there, here = campaign.report.file, experiment.report.file
    if not arms and len(treatments) > 1:
        what = f"{len(treatments)} arms, but {there} says nothing that differs between them"
        experiment.report(("split",), what, "say under arms there what each one gets")
        return
    for arm in arms:
        if arm not in treatments:
            campaign.report(("arms", arm), f'arm "{arm}" has no share in {here}', did_you_mean(arm, treatments))
    for arm in treatments:
        if arms and arm not in arms:
            cure = "add it there; {} when it changes nothing"
            experiment.report(("split", arm), f'arm "{arm}" is not under arms in {there}', cure)


def check_experiment(experiment: SpecFile, *, campaigns: Collection[str], vocabulary: Vocabulary) -> None:
    """Reports what an experiment names that is not there."""
    if experiment.name not in campaigns:
        cure = did_you_mean(experiment.name, campaigns) or "an experiment has the file name of its campaign"
        experiment.report((), f"no campaign campaigns/{experiment.name}.yaml", cure)
    for key in ("stratify", "cuts"):
        fields = part(experiment.data, key)
        for index, field in enumerate(fields if isinstance(fields, list) else ()):
            if isinstance(field, str):
                _check_classes(experiment, field, (key, index), vocabulary)


def _check_classes(experiment: SpecFile, field: str, at: Path_, vocabulary: Vocabulary) -> None:
    if field in CONTACT_FIELDS or field == "customer_id":
        experiment.report(at, f"{field} tells who a customer is, an assignment must not", "name another field")
    elif field not in vocabulary.fields:
        cure = did_you_mean(field, vocabulary.fields) or FIELDS_LISTED
        experiment.report(at, f'no customer field "{field}"', cure)
    elif vocabulary.fields[field] is FieldType.LIST:
        experiment.report(at, f"{field} holds several values for one customer", "name a field with one value")
    elif at[0] == "cuts" and vocabulary.fields[field] in (FieldType.MONEY, FieldType.DATE):
        kind = {FieldType.MONEY: "money", FieldType.DATE: "moments"}[vocabulary.fields[field]]
        experiment.report(at, f"{field} holds {kind}, which has no classes", "name a field with a few values, as rfm.m")
    elif vocabulary.shop and (lack := vocabulary.shop.lacks_field(field)):
        experiment.report(at, *lack)


def check_channels(settings: SpecFile) -> None:
    """Reports media that go by a channel that cannot carry them."""
    for medium in keys(settings.data, "channels"):
        via = part(settings.data, "channels", medium, "via")
        carried = CARRIED.get(str(via), MEDIA)
        if medium in MEDIA and medium not in carried:
            settings.report(("channels", medium, "via"), f"{medium} cannot go by {via}", "write via: outbox")


def table_columns(vocabulary: Vocabulary) -> dict[str, dict[str, FieldType]]:
    """The tables of the customer database: their columns and what these hold."""
    who, when = {"customer_id": FieldType.TEXT}, {"at": FieldType.DATE}
    events = {
        event: {**who, **when, **type_.fields, **OWN_COLUMNS.get(event, {})}
        for event, type_ in vocabulary.events.items()
    }
    return {"customers": {**who, **vocabulary.fields}, **events}
