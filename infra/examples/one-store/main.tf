# One bucket with DICOM files; a dataset `dicom` for what is exported. `terraform apply -var project=… -var bucket=…`

variable "project" {
  description = "Id of the project to install in."
  type        = string
  default     = "my-project"
}

variable "bucket" {
  description = "The existing bucket with the DICOM files."
  type        = string
  default     = "my-dicom-bucket"
}

variable "api_callers" {
  description = "Who may call the API."
  type        = set(string)
  default     = ["group:radiology@example.com"]
}

module "dicom_export" {
  source = "../.."

  project = var.project
  region  = "us-central1"
  stores  = { archive = { bucket = var.bucket } }

  api_callers = var.api_callers
}

output "api_url" {
  description = "Where the API is."
  value       = module.dicom_export.api_url
}
