# The stores are buckets that exist; the bucket with the state of the operations is the installation's.

resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_78: No versioning: an object is written once, or replaced under a precondition; old generations would be read by nobody.
  #checkov:skip=CKV_GCP_62: No access logs in a bucket: data access audit logs say who read what, if the project has them on.

  project                     = var.project
  name                        = local.state_bucket
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # Objects are small, many and short-lived: what is deleted is not to be paid for another week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  # It tells of operations of this installation only, and goes with it.
  force_destroy = true

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.state_retention_days
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}
