# A topic a kind of message, a push subscription a function. What is out of attempts goes to the next topic, and is lost nowhere:
#
#   export-requests ─► dead-export-requests ─► lost-letters
#   plan-export, export-study, study-exported ─► dead-letters ─► lost-letters
#   instance-changed ─► dead-instance-changes ─► lost-letters
#
# Users publish on export-requests and buckets on instance-changed, and what they write must not pass for a message of ours: hence a topic
# of dead letters for each.

resource "google_pubsub_topic" "topics" {
  for_each = local.topics

  project      = var.project
  name         = "${var.topic_prefix}${each.key}"
  kms_key_name = var.kms_key
  labels       = var.labels

  # Messages name objects, and objects may be named by UIDs: they stay in the region.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [time_sleep.apis, google_kms_crypto_key_iam_member.agents]
}

resource "google_service_account" "invoker" {
  project      = var.project
  account_id   = "${var.name}-invoker"
  display_name = "dicom-export: pushes messages to the functions"

  depends_on = [time_sleep.apis]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.receivers

  project                    = var.project
  name                       = each.value.name
  topic                      = google_pubsub_topic.topics[each.value.topic].id
  labels                     = var.labels
  ack_deadline_seconds       = local.timeout_seconds
  message_retention_duration = local.week

  push_config {
    push_endpoint = google_cloudfunctions2_function.functions[each.key].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = google_cloudfunctions2_function.functions[each.key].service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.topics[each.value.dead_letters].id
    max_delivery_attempts = each.value.max_attempts
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.invoker,
    google_pubsub_topic_iam_member.dead_letters,
    google_service_account_iam_member.pubsub_signs_in,
  ]
}

resource "google_pubsub_subscription" "lost_letters" {
  project                    = var.project
  name                       = "${var.name}-${local.last_topic}"
  topic                      = google_pubsub_topic.topics[local.last_topic].id
  labels                     = var.labels
  ack_deadline_seconds       = local.timeout_seconds
  message_retention_duration = local.month

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }
}
