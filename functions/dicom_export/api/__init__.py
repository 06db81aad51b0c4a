"""The Cloud Healthcare API, as far as exports are concerned: one function from a request to a response."""

from dicom_export.api.exchange import HttpRequest, HttpResponse
from dicom_export.api.server import answer, refuse
from dicom_export.ports import Exports

__all__ = ["Exports", "HttpRequest", "HttpResponse", "answer", "refuse"]
