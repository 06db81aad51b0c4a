# Datasets that exports may write to. Those that are created here stay when the installation goes: the rows are the user's.

locals {
  datasets = {
    for key, dataset in var.datasets : key => {
      create   = dataset.create
      project  = coalesce(dataset.project, var.project)
      id       = coalesce(dataset.dataset_id, key)
      location = coalesce(dataset.location, var.region)
    }
  }
}

resource "google_bigquery_dataset" "datasets" {
  for_each = { for key, dataset in local.datasets : key => dataset if dataset.create }

  project         = var.project
  dataset_id      = each.value.id
  location        = each.value.location
  description     = "Metadata of DICOM instances, exported by dicom-export"
  labels          = var.labels
  deletion_policy = "ABANDON"

  # A key serves the datasets of its own location.
  dynamic "default_encryption_configuration" {
    for_each = each.value.location == var.region ? var.kms_key[*] : []

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}
