# Datasets that exports may write to, and for each of them one that overwrites are prepared in. Those that are created here for rows to
# stay in are not destroyed with the installation: the rows are the user's.

resource "google_bigquery_dataset" "datasets" {
  for_each = { for key, dataset in local.datasets : key => dataset if dataset.create }

  project         = var.project
  dataset_id      = each.value.id
  location        = each.value.location
  description     = "Metadata of DICOM instances, exported by dicom-export"
  labels          = var.labels
  deletion_policy = each.value.is_kept ? "ABANDON" : "DELETE"
  # Only of the smoke test: also when one was killed, its tables go.
  delete_contents_on_destroy  = !each.value.is_kept
  default_table_expiration_ms = each.value.is_kept ? null : 24 * 3600 * 1000

  # A key serves the datasets of its own location.
  dynamic "default_encryption_configuration" {
    for_each = each.value.location == var.region ? var.kms_key[*] : []

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}

# A dataset that exists is where it is, and so is the one that its overwrites are prepared in: no job reads across locations.
data "google_bigquery_dataset" "existing" {
  for_each = { for key, dataset in local.datasets : key => dataset if !dataset.create }

  project    = each.value.project
  dataset_id = each.value.id
}

locals {
  staging_writers = toset([for entry_point, function in local.functions : entry_point if can(function.roles.staging)])
  locations = {
    for key, dataset in local.datasets :
    key => dataset.create ? dataset.location : data.google_bigquery_dataset.existing[key].location
  }
}

# The rows of an overwrite before it ends. No policy on rows or columns of the destination hides any of them here, so nobody reads them but the
# functions: `access` replaces what a new dataset gives to the project's viewers and editors.
# https://cloud.google.com/bigquery/docs/access-control-basic-roles
resource "google_bigquery_dataset" "staging" {
  for_each = local.datasets

  project                    = var.project
  dataset_id                 = each.value.staging
  location                   = local.locations[each.key]
  description                = "Rows of overwrites of ${each.value.project}.${each.value.id} that have not ended"
  labels                     = var.labels
  delete_contents_on_destroy = true
  # Of what an abandoned overwrite leaves behind. What replaced rows were is kept with the destination's.
  default_table_expiration_ms = 7 * 24 * 3600 * 1000
  max_time_travel_hours       = "48"

  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  dynamic "access" {
    for_each = local.staging_writers

    content {
      role          = local.functions[access.key].roles.staging
      user_by_email = google_service_account.functions[access.key].email
    }
  }

  # A key serves the datasets of its own location.
  dynamic "default_encryption_configuration" {
    for_each = local.locations[each.key] == var.region ? var.kms_key[*] : []

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}
