"""Reports a person can read: the `spikeport.report/1` record, terminal tables and one HTML page."""

from __future__ import annotations

from toolkit.reporting.html import render_html
from toolkit.reporting.schema import SCHEMA, Report, validate
from toolkit.reporting.summary import Verdict, summarise
from toolkit.reporting.tables import print_report

__all__ = ["SCHEMA", "Report", "Verdict", "print_report", "render_html", "summarise", "validate"]
