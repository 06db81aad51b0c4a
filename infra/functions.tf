# One function per entry point of functions/main.py, from one archive, each with a service account of its own.

locals {
  runtime = "python311"

  server_environment = {
    for entry_point, function in local.functions : entry_point => merge(
      # functions-framework takes as many requests at once as it has threads.
      { THREADS = tostring(function.size.concurrency) },
      # Cloud Run ends TLS and alone reaches the server: gunicorn may believe its X-Forwarded-Proto, so that served URLs are https.
      function.topic == null ? { FORWARDED_ALLOW_IPS = "*" } : {},
    )
  }
}

check "write_streams" {
  assert {
    condition     = local.streams_per_hour <= local.most_streams_per_hour
    error_message = "export_study may open ${local.streams_per_hour} write streams per hour. BigQuery allows 10,000 in a project and region, and a stream beyond that is refused. Expected at most ${local.most_streams_per_hour}, unless the project has more quota for CreateWriteStream: lower max_instances or concurrency of export_study."
  }
}

resource "google_service_account" "functions" {
  for_each = local.functions

  project      = var.project
  account_id   = each.value.name
  display_name = "dicom-export: runs ${each.key}"

  depends_on = [time_sleep.apis]
}

resource "google_cloudfunctions2_function" "functions" {
  for_each = local.functions

  project      = var.project
  location     = var.region
  name         = each.value.name
  description  = "dicom-export: ${each.key}"
  kms_key_name = var.kms_key
  labels       = var.labels

  build_config {
    runtime           = local.runtime
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.functions[each.key].email
    available_memory                 = each.value.size.memory
    available_cpu                    = each.value.size.cpu
    max_instance_request_concurrency = each.value.size.concurrency
    min_instance_count               = each.value.size.min_instances
    max_instance_count               = each.value.size.max_instances
    timeout_seconds                  = local.timeout_seconds
    ingress_settings                 = each.value.topic == null ? var.api_ingress : "ALLOW_INTERNAL_ONLY"
    vpc_connector                    = var.vpc_connector
    vpc_connector_egress_settings    = var.vpc_connector == null ? null : "PRIVATE_RANGES_ONLY"
    environment_variables            = merge(local.environment, local.server_environment[each.key])
    all_traffic_on_latest_revision   = true
  }

  # While a function's service account lacks roles, messages become dead letters.
  depends_on = [
    google_bigquery_dataset.staging,
    google_bigquery_dataset_iam_member.functions,
    google_kms_crypto_key_iam_member.agents,
    google_project_iam_member.jobs,
    google_pubsub_topic_iam_member.publishers,
    google_storage_bucket_iam_member.buckets,
    google_storage_bucket_iam_member.copies,
    google_storage_bucket_iam_member.destinations,
    google_storage_bucket_iam_member.filters,
    google_storage_bucket_iam_member.state,
    google_storage_bucket_iam_member.stores,
    time_sleep.build_may_read,
  ]
}
