# New files are exported as they appear, and rows of deleted ones are told of; exports on request work beside.

variable "project" {
  description = "Id of the project to install in."
  type        = string
  default     = "my-project"
}

module "dicom_export" {
  source = "../.."

  project = var.project
  region  = "us-central1"
  stores = {
    archive = {
      bucket = "my-dicom-bucket"
      prefix = "dicom/"
      stream_configs = [
        # A row for each upload and deletion.
        { table = "bq://${var.project}.dicom.instances" },
        # The latest row of each instance.
        { table = "bq://${var.project}.dicom.latest", schema = "json", tracks_changes = true },
      ]
      stream_deletes = true
    }
    # Exported on request only.
    teaching = { bucket = "my-teaching-files" }
  }
  datasets = { dicom = { create = true } }

  api_callers = ["group:radiology@example.com"]
}

output "topics" {
  description = "Topics of the installation; the bucket's notifications go to instance-changed."
  value       = module.dicom_export.topics
}
