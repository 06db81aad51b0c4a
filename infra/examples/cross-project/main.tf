# Files in one project, rows in another. Whoever applies this must be allowed to set the access policy of the bucket in
# `imaging-project` and of the dataset in `warehouse-project`.

module "dicom_export" {
  source = "../.."

  project = "export-project"
  region  = "europe-west1"

  # Two stores in one bucket, kept apart by their prefixes.
  stores = {
    ct = { bucket = "imaging-project-archive", prefix = "ct/", dataset = "radiology" }
    mr = { bucket = "imaging-project-archive", prefix = "mr/", dataset = "radiology" }
  }
  filter_buckets      = ["imaging-project-cohorts"]
  destination_buckets = ["imaging-project-cohorts"]

  # The dataset exists; exports name it as bq://warehouse-project.imaging.TABLE.
  datasets = {
    imaging  = { project = "warehouse-project" }
    failures = { create = true }
  }
  failures_table = "bq://export-project.failures.instances"

  api_callers = ["group:radiology@example.com"]
}

output "service_accounts" {
  description = "Whom the other projects' owners have to let in, if they do that themselves."
  value       = module.dicom_export.service_accounts
}
