"""The report of a version: one HTML page."""

REPORT_FILE = "report.html"
"""Artifact of a run."""
