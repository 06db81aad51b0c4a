# What `dicom-export doctor` compares the installation with, who may run it, and where `dicom-export smoke-test` works.

locals {
  installation = {
    region             = var.region
    runtime            = local.runtime
    apiUrl             = google_cloudfunctions2_function.functions["export_api"].service_config[0].uri
    apiFunction        = local.functions["export_api"].name
    ackDeadlineSeconds = local.timeout_seconds
    apis               = sort(tolist(local.needed_apis))
    lostLetters        = google_pubsub_subscription.lost_letters.id
    receivers = { for entry_point, function in local.receivers : entry_point => {
      function            = function.name
      topic               = google_pubsub_topic.topics[function.topic].id
      subscription        = google_pubsub_subscription.push[entry_point].id
      endpoint            = google_cloudfunctions2_function.functions[entry_point].service_config[0].uri
      invoker             = google_service_account.invoker.email
      deadLetterTopic     = google_pubsub_topic.topics[function.dead_letters].id
      maxDeliveryAttempts = function.max_attempts
    } }
    datasets = [for key, dataset in local.datasets : {
      name    = "${dataset.project}.${dataset.id}"
      staging = "${google_bigquery_dataset.staging[key].project}.${google_bigquery_dataset.staging[key].dataset_id}"
    }]
    notifications = [for id, store in local.streaming : {
      bucket     = store.bucket
      prefix     = store.prefix
      eventTypes = sort(tolist(google_storage_notification.stores[id].event_types))
    }]
    smokeTest = var.smoke_test_store ? {
      store   = one([for name, store in local.declared_stores : name if store.bucket == local.smoke_test_bucket])
      bucket  = local.smoke_test_bucket
      prefix  = local.stores["smoke-test"].prefix
      dataset = "${var.project}.${local.smoke_test_dataset}"
    } : null
  }

  operators_on_topics = {
    for pair in setproduct(var.operators, [for function in values(local.receivers) : function.topic]) :
    "${pair[0]}/${pair[1]}" => { member = pair[0], topic = pair[1] }
  }
  operators_on_buckets = {
    for pair in setproduct(var.operators, local.store_buckets) : "${pair[0]}/${pair[1]}" => { member = pair[0], bucket = pair[1] }
  }
  operators_on_datasets = {
    for pair in setproduct(var.operators, keys(local.datasets)) : "${pair[0]}/${pair[1]}" => { member = pair[0], dataset = pair[1] }
  }
  smoke_testers = var.smoke_test_store ? var.operators : []
}

# Who operates the installation.

# For weeks after a custom role was deleted its id cannot be used again.
resource "google_project_iam_custom_role" "operator" {
  count = length(var.operators) == 0 ? 0 : 1

  project = var.project
  role_id = "${replace(var.name, "-", "_")}_operator_${random_id.job_runner.hex}"
  title   = "dicom-export: sees how the installation is set up"
  permissions = [
    "bigquery.datasets.get",
    "cloudfunctions.runtimes.list",
    "pubsub.subscriptions.get",
    "pubsub.topics.get",
    "serviceusage.services.get",
    "serviceusage.services.use",
    "storage.buckets.get",
  ]

  depends_on = [time_sleep.apis]
}

resource "google_project_iam_member" "operators" {
  for_each = var.operators

  project = var.project
  role    = google_project_iam_custom_role.operator[0].id
  member  = each.key
}

# To cancel an operation, to replay dead letters, and to read what the functions answer to a check.
resource "google_storage_bucket_iam_member" "operators_of_state" {
  for_each = var.operators

  bucket = google_storage_bucket.state.name
  role   = local.state_role
  member = each.key
}

resource "google_storage_bucket_iam_member" "operators_of_stores" {
  for_each = local.operators_on_buckets

  bucket = each.value.bucket
  role   = local.bucket_role
  member = each.value.member

  depends_on = [google_storage_bucket.smoke_test]
}

resource "google_bigquery_dataset_iam_member" "operators" {
  for_each = local.operators_on_datasets

  project    = local.datasets[each.value.dataset].project
  dataset_id = try(google_bigquery_dataset.datasets[each.value.dataset].dataset_id, local.datasets[each.value.dataset].id)
  role       = "roles/bigquery.metadataViewer"
  member     = each.value.member
}

resource "google_pubsub_topic_iam_member" "operators" {
  for_each = local.operators_on_topics

  project = var.project
  topic   = google_pubsub_topic.topics[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

# The smoke test: a bucket of its own, whose store and dataset are in local.stores and local.datasets.

resource "google_storage_bucket" "smoke_test" {
  #checkov:skip=CKV_GCP_78: No versioning: it holds the synthetic instances of a test while that runs.
  #checkov:skip=CKV_GCP_62: No access logs in a bucket: data access audit logs say who read what, if the project has them on.
  count = var.smoke_test_store ? 1 : 0

  project                     = var.project
  name                        = local.smoke_test_bucket
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Of what a test leaves behind that was killed.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 1
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

resource "google_storage_bucket_iam_member" "smoke_testers" {
  for_each = local.smoke_testers

  bucket = google_storage_bucket.smoke_test[0].name
  role   = "roles/storage.objectUser"
  member = each.key
}

# A row access policy takes the role of the owner of the data.
resource "google_bigquery_dataset_iam_member" "smoke_testers" {
  for_each = local.smoke_testers

  project    = var.project
  dataset_id = google_bigquery_dataset.datasets[local.smoke_test_dataset].dataset_id
  role       = "roles/bigquery.dataOwner"
  member     = each.key
}

resource "google_project_iam_member" "smoke_testers" {
  for_each = {
    for pair in setproduct(local.smoke_testers, ["roles/bigquery.jobUser", "roles/logging.viewer", "roles/monitoring.viewer"]) :
    "${pair[0]}/${pair[1]}" => { member = pair[0], role = pair[1] }
  }

  project = var.project
  role    = each.value.role
  member  = each.value.member

  depends_on = [time_sleep.apis]
}
