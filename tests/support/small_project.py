"""A small good project, and every problem of a project as a person reads it."""

from __future__ import annotations

from pathlib import Path

from campanile.spec.check import check_project

FILES = {
    "campanile.yaml": """\
shop: {name: Shop, currency: EUR, timezone: Europe/Madrid}
channels:
  email: {via: smtp, host: smtp.example.com, sender: Shop <news@example.com>}
  sms: {via: outbox}
economics: {margin_rate: 40%, cost_per_message: {email: 0.01, sms: 0.05}}
import:
  bought: {file: data/lines.csv}
""",
    "segments.yaml": """\
segments:
  mailable: [{email_consent: true}]
""",
    "campaigns/spring.yaml": """\
objective: growth
target:
  who:
    - {stage: active}
    - segment: mailable
offer: {kind: coupon, amount: 50}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: email, message: hello}
""",
    "experiments/spring.yaml": """\
hypothesis: It works.
split: {control: 20%, treatment: 80%}
stratify: [rfm.m]
primary: {metric: response_rate, window: 30d, baseline: 3%, expect: 4%}
secondary: [margin_per_customer]
guards: {opt_out_rate: under 1%}
decide: {stop: upper limit below 0.3 points}
""",
    "templates/hello.subject.j2": "Hello",
    "templates/hello.html.j2": "<p>Hello</p>",
    "templates/hello.txt.j2": "Hello",
    "templates/hello.sms.j2": "Hello",
}


def write_files(root: Path, files: dict[str, str]) -> None:
    """Writes texts by file name below the folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def said(root: Path) -> list[str]:
    """Every problem of the project, as a person reads it."""
    return [str(problem) for problem in check_project(root).problems]
