# Each night the table is replaced by what the store holds: Cloud Scheduler publishes an export request.

variable "project" {
  description = "Id of the project to install in."
  type        = string
  default     = "my-project"
}

module "dicom_export" {
  source = "../.."

  project  = var.project
  region   = "us-central1"
  stores   = { archive = { bucket = "my-dicom-bucket", prefix = "dicom/" } }
  datasets = { dicom = { create = true } }

  # Exports are requested on the topic only.
  api_callers = []
}

resource "google_project_service" "scheduler" {
  project            = var.project
  service            = "cloudscheduler.googleapis.com"
  disable_on_destroy = false
}

resource "google_cloud_scheduler_job" "nightly" {
  project     = var.project
  region      = "us-central1"
  name        = "dicom-nightly-export"
  description = "Replaces the table dicom.nightly by what the store archive holds"
  schedule    = "0 2 * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = module.dicom_export.topics["export-requests"]
    data = base64encode(jsonencode({
      name = module.dicom_export.stores["archive"]
      bigqueryDestination = {
        tableUri         = "bq://${module.dicom_export.datasets["dicom"]}.nightly"
        writeDisposition = "WRITE_TRUNCATE"
      }
    }))
  }

  depends_on = [google_project_service.scheduler]
}
