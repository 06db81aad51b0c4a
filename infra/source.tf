# What is deployed: functions/ and the root's requirements.txt, in one archive that is named by its content.

locals {
  repository = "${path.module}/.."
  source_files = merge(
    {
      for name in fileset("${local.repository}/functions", "**") : name => "${local.repository}/functions/${name}"
      if !can(regex("(^|/)(__pycache__|[^/]+[.]egg-info|[.][^/]*)/|(^|/)[.]|[.]pyc$", name))
    },
    { "requirements.txt" = "${local.repository}/requirements.txt" },
  )
  # Of names and contents only, so that neither a file's date nor another version of zip deploys anything.
  source_hash = sha256(join("\n", [for name, path in local.source_files : "${name} ${filesha256(path)}"]))
}

data "archive_file" "source" {
  type        = "zip"
  output_path = "${path.module}/.build/${local.source_hash}.zip"

  dynamic "source" {
    for_each = local.source_files

    content {
      filename = source.key
      content  = file(source.value)
    }
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_78: No versioning: an object is named by its content, and never written twice.
  #checkov:skip=CKV_GCP_62: No access logs in a bucket: data access audit logs say who read what, if the project has them on.

  project                     = var.project
  name                        = local.source_bucket
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "functions-${local.source_hash}.zip"
  source = data.archive_file.source.output_path
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "${var.name}-functions"
  description   = "dicom-export: the functions' images"
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = var.labels

  # Each deployment adds an image a function.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}
