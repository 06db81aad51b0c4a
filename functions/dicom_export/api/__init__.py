"""Serve the part of the Cloud Healthcare API that exports need."""

from dicom_export.api.exchange import HttpRequest, HttpResponse
from dicom_export.api.server import answer, refuse
from dicom_export.ports import Exports

__all__ = ["Exports", "HttpRequest", "HttpResponse", "answer", "refuse"]
