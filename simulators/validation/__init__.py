"""Measured runs of real chips, set up, priced with the shipped profiles, and judged."""

from simulators.validation.case import Case, Measured, parse_case, shipped_cases
from simulators.validation.judge import Verdict, judge, validate
from simulators.validation.table import page, text_table

__all__ = ["Case", "Measured", "Verdict", "judge", "page", "parse_case", "shipped_cases", "text_table", "validate"]
