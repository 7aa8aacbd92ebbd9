"""Which customer records are one person: the part of the policy that says so."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from campanile.spec.fields import Spec, Unreadable, Whole, YesNo

MatchRule = Literal["email", "phone", "name_and_address"]
Veto = Literal["birth_date", "gender_and_name", "name"]
LeadRule = Literal["latest_order", "most_complete", "oldest_registration"]
Household = Literal["imported", "last_name_and_address", "address"]
#: Settings with which every shop has the field `household`.
COMPUTED_HOUSEHOLDS = ("last_name_and_address", "address")


class PeopleSettings(Spec):
    """Which customer records are one person. Without these lines no record is ever merged."""

    match: tuple[MatchRule, ...] = Field(
        ("email", "phone", "name_and_address"),
        description="What two records of one person have in common: any of these.",
    )
    veto: tuple[Veto, ...] = Field(
        ("birth_date", "gender_and_name"),
        description="What tells two persons apart, where both records know it: another birth date, another gender with "
        "another name, or another name alone.",
    )
    shared_by: Whole = Field(
        5,
        description="Most records that may share an address or a number; of more it is an office, and matches nobody.",
    )
    largest: Whole = Field(10, description="Most records of one person; more are reported and stay as they are.")
    leave_out: tuple[Literal["is_employee", "is_reseller", "is_test"], ...] = Field(
        ("is_employee", "is_reseller"), description="Records with one of these flags are never merged."
    )
    lead: tuple[LeadRule, ...] = Field(
        ("latest_order", "most_complete", "oldest_registration"),
        description="Which record leads, the first rule that decides; ties by customer_id. Who leads goes on leading.",
    )
    values: Literal["leader", "newest"] = Field(
        "leader", description="Whose value of a field counts, of those that know one: the leader's, or the newest."
    )
    automatic: YesNo = Field(default=False, description="Whether every import merges what it finds, and reports it.")
    household: Household = Field(
        "imported",
        description="Where the import names no household: none, those of one last name at one address, or all at one "
        "address.",
    )

    @model_validator(mode="after")
    def _room_for_two(self) -> PeopleSettings:
        for key in ("shared_by", "largest"):
            if getattr(self, key) < 2:
                raise Unreadable(f"{key} must be 2 at least, or nothing can match", "write match: [] to match nothing")
        return self
