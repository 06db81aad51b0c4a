"""What Cloud Functions deploys: it looks for the functions in a file of this name."""

from dicom_export import logs
from dicom_export.entry_points import (
    export_api,
    export_study,
    plan_export,
    record_dead_letter,
    record_result,
    refuse_export,
    report_lost_instance,
    start_export,
    stream_instance,
)

__all__ = [
    "export_api",
    "export_study",
    "plan_export",
    "record_dead_letter",
    "record_result",
    "refuse_export",
    "report_lost_instance",
    "start_export",
    "stream_instance",
]

logs.configure()
