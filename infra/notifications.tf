# Automatic export: the buckets of the stores that have stream_configs say what changed, on the topic instance-changed.

locals {
  streaming = { for id, store in local.stores : id => store if length(store.stream_configs) > 0 }
  # A bucket's notifications are published by the agent of the bucket's project.
  bucket_projects = toset([for store in values(local.streaming) : coalesce(store.project, var.project)])
}

data "google_storage_project_service_account" "notifiers" {
  for_each = local.bucket_projects

  project = each.key
}

resource "google_pubsub_topic_iam_member" "notifiers" {
  for_each = local.bucket_projects

  project = var.project
  topic   = google_pubsub_topic.topics["instance-changed"].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${data.google_storage_project_service_account.notifiers[each.key].email_address}"
}

resource "google_storage_notification" "stores" {
  for_each = local.streaming

  bucket             = each.value.bucket
  object_name_prefix = each.value.prefix == "" ? null : each.value.prefix
  topic              = google_pubsub_topic.topics["instance-changed"].id
  payload_format     = "JSON_API_V1"
  event_types        = concat(["OBJECT_FINALIZE"], each.value.stream_deletes ? ["OBJECT_ARCHIVE", "OBJECT_DELETE"] : [])

  # Whom to tell has to be there first.
  depends_on = [google_pubsub_topic_iam_member.notifiers, google_pubsub_subscription.push, google_storage_bucket.smoke_test]
}
