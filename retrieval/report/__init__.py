"""Results as a page: one HTML file that needs nothing beside it."""

from __future__ import annotations

from retrieval.report.contact_sheet import Answer, Row, contact_sheet

__all__ = ["Answer", "Row", "contact_sheet"]
