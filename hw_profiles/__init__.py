"""Chip profiles: sourced constants and capacity limits, one TOML file per chip."""

from __future__ import annotations

from hw_profiles.describe import as_dict, describe
from hw_profiles.discover import Found, find_profile, found_profiles, list_profiles
from hw_profiles.interval import Interval
from hw_profiles.lacking import lacking, one_sided
from hw_profiles.load import check_file, check_text, load_profile, parse_profile
from hw_profiles.schema import Constant, Profile, ProfileError, Unpriced, worst_grade

__all__ = [
    "Constant",
    "Found",
    "Interval",
    "Profile",
    "ProfileError",
    "Unpriced",
    "as_dict",
    "check_file",
    "check_text",
    "describe",
    "find_profile",
    "found_profiles",
    "lacking",
    "list_profiles",
    "load_profile",
    "one_sided",
    "parse_profile",
    "worst_grade",
]
