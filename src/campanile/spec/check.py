"""Reads every file of a project and finds every problem of every file at once.

Three passes over plain data: what a file holds by itself (models), what it names elsewhere (references), and what does
not belong into a committed file (secrets).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from campanile.errors import Problem, ProblemsError, did_you_mean
from campanile.spec.campaign import CampaignSpec
from campanile.spec.conditions import Metric, Segment, Target
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.fields import Unreadable, name, shown
from campanile.spec.grammar import Names, parse_target
from campanile.spec.import_references import check_imports, mapped_columns
from campanile.spec.loader import FileReport, Path_, load_document, nearest_line
from campanile.spec.named import KEYS, Named, read_named
from campanile.spec.own_metrics import METRICS_FILE, OwnMetric, read_own_metrics
from campanile.spec.people import COMPUTED_HOUSEHOLDS
from campanile.spec.references import SpecFile, check_campaign, check_channels, check_experiment, keys, part
from campanile.spec.scoring import RfmSettings
from campanile.spec.segment_map import SegmentMap, own_map, segment_map
from campanile.spec.sentences import report_errors
from campanile.spec.settings import ProjectSettings
from campanile.spec.shop_tables import ShopTables, shop_tables
from campanile.spec.sms_rules import quiet_covers
from campanile.spec.vocabulary import Vocabulary, load_vocabulary, with_scores

Model = TypeVar("Model", bound=BaseModel)

#: What looks like a key of a provider, or a password inside an address.
_SECRET = re.compile(r"SG\.[\w-]{16,}|\b(?:AC|SK)[0-9a-f]{32}\b|://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY")
_PLACEHOLDER = re.compile(r"(?:[A-Za-z]{1,12} )?\{[a-z_]{1,40}\}")
_SECRET_KEYS = frozenset({"password", "passwd", "api_key", "apikey", "auth_token", "token", "secret"})


@dataclass(frozen=True)
class Parts:
    """What of a project could be read, and what is wrong with the rest."""

    settings: ProjectSettings | None
    campaigns: Mapping[str, CampaignSpec]
    experiments: Mapping[str, ExperimentSpec]
    segments: Mapping[str, Segment]
    metrics: Mapping[str, Metric]
    #: Of campanile.yaml and segments.yaml: with one of these, nothing of the project works.
    shop_problems: tuple[Problem, ...]
    #: Of campaigns/NAME.yaml and experiments/NAME.yaml by NAME: they are nobody else's business.
    broken: Mapping[str, tuple[Problem, ...]]
    #: The metrics in experiments/metrics.yaml, and what is wrong there: experiments that name a broken one are broken.
    own_metrics: Mapping[str, OwnMetric]
    metric_problems: tuple[Problem, ...]
    #: What the mapping imports; None when it cannot be known.
    shop: ShopTables | None = None
    #: What the files name that the shop has no data for.
    lacking: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of every file, in order of file and line."""
        found = (self.shop_problems, self.metric_problems, self.lacking, *self.broken.values())
        return tuple(sorted({problem for problems in found for problem in problems}))


@dataclass(frozen=True)
class _Files:
    """The files of a project with their reports."""

    root: Path
    settings: SpecFile
    segments: SpecFile
    campaigns: Mapping[str, SpecFile]
    experiments: Mapping[str, SpecFile]
    metrics: SpecFile

    @property
    def all(self) -> tuple[SpecFile, ...]:
        return (self.settings, self.segments, self.metrics, *self.campaigns.values(), *self.experiments.values())

    @property
    def vocabulary(self) -> Vocabulary:
        words = with_scores(load_vocabulary(), self.rfm, self.segment_map)
        return words.without_values(mapped_columns(self.settings.data, "customers"))

    @property
    def rfm(self) -> RfmSettings:
        """How this shop scores; as every shop does where its settings cannot be read."""
        try:
            return RfmSettings.model_validate(part(self.settings.data, "policy", "rfm") or {})
        except ValueError:
            return RfmSettings()

    @property
    def segment_map(self) -> SegmentMap:
        """The map of segments in use; the product's own where the shop's cannot be read."""
        try:
            return segment_map(self.rfm.segments, self.root)
        except ProblemsError:
            return own_map("default")

    @property
    def shop(self) -> ShopTables | None:
        mapped = keys(self.settings.data, "import")
        columns = {table: mapped_columns(self.settings.data, table) for table in mapped}
        households = part(self.settings.data, "policy", "people", "household") in COMPUTED_HOUSEHOLDS
        if columns.get("customers") and households:
            columns["customers"] = (*columns["customers"], "household")
        holds_out = "holdout" in keys(self.settings.data, "policy")
        return shop_tables(columns, holds_out=holds_out, scopes=self.rfm.scopes)


def read_project(root: Path) -> Parts:
    """What of the project's files could be read, and every problem of what stands in them."""
    return _parts(_read_files(root), root)


def check_project(root: Path) -> Parts:
    """The same, and what the files name that the shop has no data for, as far as its mapping tells."""
    files = _read_files(root)
    parts = _parts(files, root)
    return replace(parts, shop=files.shop, lacking=_lacking(files, files.shop) if files.shop else ())


def _read_files(root: Path) -> _Files:
    return _Files(
        root,
        read_file(root, root / "campanile.yaml"),
        read_file(root, root / "segments.yaml", required=False),
        _read_folder(root, "campaigns"),
        _read_folder(root, "experiments"),
        read_file(root, root / METRICS_FILE, required=False),
    )


def _parts(files: _Files, root: Path) -> Parts:
    vocabulary = files.vocabulary
    settings = validate(files.settings, ProjectSettings)
    named = _named(files.segments, vocabulary)
    campaigns = {key: _campaign(file, vocabulary, named.names) for key, file in files.campaigns.items()}
    _check_hours(files, campaigns, settings)
    own = read_own_metrics(files.metrics.data, files.metrics.report, vocabulary)
    kinds = {key: metric.kind for key, metric in own.items()}
    experiments = {
        key: validate(file, ExperimentSpec, campaign=key, own=kinds) for key, file in files.experiments.items()
    }
    _check_references(files, root, vocabulary)
    return Parts(
        settings,
        _known(campaigns),
        _known(experiments),
        named.segments,
        named.metrics,
        (*_problems(files.settings, files.segments), *_map_problems(files)),
        _broken(files),
        own,
        _problems(files.metrics),
    )


def _check_hours(files: _Files, campaigns: Mapping[str, CampaignSpec | None], settings: ProjectSettings | None) -> None:
    """Reports promotional texts that could go out when the rules of their channel forbid it."""
    channel = settings.channels.get("sms") if settings else None
    if channel is None or channel.rules is None or channel.rules.hours is None:
        return
    start, end = channel.rules.hours
    for key, spec in campaigns.items():
        if spec is None or spec.channel.use != "sms" or spec.purpose != "marketing":
            continue
        if not quiet_covers(spec.timing.quiet, channel.rules.hours):
            what = f"{channel.rules.pack} allows promotional texts from {start:%H:%M} to {end:%H:%M} only"
            cure = f'write quiet: "{end:%H:%M}-{start:%H:%M}", or more'
            files.campaigns[key].report(("timing", "quiet"), what, cure)


def _map_problems(files: _Files) -> tuple[Problem, ...]:
    """What is wrong with the map of segments, or between it and the scores it is laid over."""
    rfm, report = files.rfm, FileReport(files.settings.report.file, lines=files.settings.report.lines)
    place = ("policy", "rfm", "segments")
    try:
        found = segment_map(rfm.segments, files.root)
    except ProblemsError as error:
        return tuple(
            replace(each, line=nearest_line(report.lines, place)) if not each.line else each for each in error.problems
        )
    if not found.high_low and found.scores != rfm.scores:
        what = f"the map of segments {rfm.segments} is made for {found.scores} scores, and rfm makes {rfm.scores}"
        report(place, what, f"write scores: {found.scores}, or choose another map")
    return tuple(report.problems)


def _lacking(files: _Files, shop: ShopTables) -> tuple[Problem, ...]:
    """What is reported when conditions and strata are read once more, with what the shop has; nothing said before."""
    before = set(_problems(*files.all))
    vocabulary = replace(files.vocabulary, shop=shop)
    named = read_named(files.segments.data, files.segments.report, vocabulary)
    for file in files.campaigns.values():
        if "target" in file.data:
            data, report = file.data["target"], file.report
            parse_target(data, vocabulary=vocabulary, names=named.names, report=report, at=("target",))
    for file in files.experiments.values():
        check_experiment(file, campaigns=files.campaigns, vocabulary=vocabulary)
    return tuple(sorted(set(_problems(*files.all)) - before))


def _check_references(files: _Files, root: Path, vocabulary: Vocabulary) -> None:
    check_channels(files.settings)
    check_imports(files.settings, vocabulary)
    for key, file in files.campaigns.items():
        check_campaign(file, root=root, settings=files.settings, experiment=files.experiments.get(key))
    for file in files.experiments.values():
        check_experiment(file, campaigns=files.campaigns, vocabulary=vocabulary)


def _broken(files: _Files) -> dict[str, tuple[Problem, ...]]:
    """The problems of each campaign with its experiment; those that have none are left out."""
    both = [files.campaigns, files.experiments]
    found = {
        key: _problems(*(group[key] for group in both if key in group))
        for key in sorted({*files.campaigns, *files.experiments})
    }
    return {key: problems for key, problems in found.items() if problems}


def _problems(*files: SpecFile) -> tuple[Problem, ...]:
    return tuple(sorted(problem for file in files for problem in file.report.problems))


def _known(found: Mapping[str, Model | None]) -> dict[str, Model]:
    return {key: value for key, value in found.items() if value is not None}


def read_file(root: Path, path: Path, *, required: bool = True) -> SpecFile:
    """One file with its keys and values; every problem of reading it is in its report."""
    report = FileReport(path.relative_to(root).as_posix())
    if not path.exists():
        if required:
            report.at_line(0, f"no such file in {root}", "name the folder that holds it with --project")
        return SpecFile(path.stem, {}, report)
    document = load_document(path, root, report)
    if document is None:
        return SpecFile(path.stem, {}, report)
    for at in _secrets(document.data, ()):
        cure = "keep it in an environment variable, and name that here: password_env: SMTP_PASSWORD"
        report(at, "a password or key does not belong in a committed file", cure)
        report.silent.add(at)
    return SpecFile(path.stem, _keys_and_values(document.data, report, required=required), report)


def _keys_and_values(data: object, report: FileReport, *, required: bool) -> dict[str, object]:
    """The keys and values of a file; {} when it has none, which is reported unless it may be empty."""
    if isinstance(data, dict) and data:
        return data
    if data not in (None, {}):
        report((), f"the file wants keys and values, got {shown(data)}", "write key: value lines")
    elif required:
        report((), "the file is empty", "write key: value lines")
    return {}


def _secrets(data: object, at: Path_) -> Iterator[Path_]:
    """The places that hold a password or key."""
    if isinstance(data, dict):
        for key, value in data.items():
            if str(key).lower() in _SECRET_KEYS and value is not None and not _is_placeholder(value):
                yield (*at, key)
            else:
                yield from _secrets(value, (*at, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _secrets(value, (*at, index))
    elif isinstance(data, str) and _SECRET.search(data):
        yield at


def _is_placeholder(value: object) -> bool:
    """Whether a value only names where a key goes, as in `token: "{key}"`."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def _read_folder(root: Path, folder: str) -> dict[str, SpecFile]:
    """The files of campaigns/ or experiments/ by name; sub-folders hold proposals and are not read."""
    files = {}
    for path in sorted((root / folder).glob("[!.]*.y*ml")):
        if f"{folder}/{path.name}" == METRICS_FILE:
            continue
        files[path.stem] = _read_named(root, path)
    return files


def _read_named(root: Path, path: Path) -> SpecFile:
    try:
        name(path.stem)
    except Unreadable as error:
        file = SpecFile(path.stem, {}, FileReport(path.relative_to(root).as_posix()))
        file.report.at_line(0, f"the file name {error.what}", error.cure)
        return file
    file = read_file(root, path)
    if path.suffix != ".yaml":
        file.report.at_line(0, "the file name ends in .yml", f"rename it {path.stem}.yaml")
    return file


def validate(file: SpecFile, model: type[Model], *, context: object = None, **facts: object) -> Model | None:
    """The file as a model, with facts that the file does not hold; None when a problem was reported."""
    if not file.readable:
        return None
    known = {**facts, "file": file.report.file} if "file" in model.model_fields else facts
    for key in known.keys() & file.data.keys():
        file.report((key,), f'unknown key "{key}"', "remove it: the name of the file says it")
    try:
        return model.model_validate({**file.data, **known}, context=context, by_alias=True, by_name=False)
    except ValidationError as error:
        report_errors(error, model, file.report)
        return None


def _named(file: SpecFile, vocabulary: Vocabulary) -> Named:
    for key in file.data.keys() - set(KEYS):
        file.report((key,), f'unknown key "{key}"', did_you_mean(key, KEYS))
    return read_named(file.data, file.report, vocabulary)


def _campaign(file: SpecFile, vocabulary: Vocabulary, names: Names) -> CampaignSpec | None:
    def target(data: object) -> Target | None:
        return parse_target(data, vocabulary=vocabulary, names=names, report=file.report, at=("target",))

    return validate(file, CampaignSpec, context={"target": target}, name=file.name)
