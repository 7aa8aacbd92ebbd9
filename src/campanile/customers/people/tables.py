"""The product's own tables about persons. They hold ids only, never what a record says."""

from __future__ import annotations

from collections.abc import Mapping

#: Which record belongs to which person, the leader's row included: person_id is the leader's customer_id. `place`
#: orders the records of a person, 0 first, for the fields; `rule` says what joined the record.
PEOPLE = "people"
#: What was merged and split, when and why.
PEOPLE_LOG = "people_log"
#: Pairs of records that were split and are never merged again; each pair both ways round.
PEOPLE_APART = "people_apart"

#: The `rule` of a leader's own row, and of records that came along with an earlier merge.
LEADS, KNOWN = "leads", "merged before"

PEOPLE_TABLES: Mapping[str, Mapping[str, str]] = {
    PEOPLE: {
        "customer_id": "string", "person_id": "string", "place": "int64", "rule": "string", "merged_at": "timestamp",
    },
    PEOPLE_LOG: {
        "at": "timestamp", "what": "string", "customer_id": "string", "person_id": "string", "rule": "string",
    },
    PEOPLE_APART: {"customer_id": "string", "other_id": "string", "at": "timestamp"},
}  # fmt: skip
