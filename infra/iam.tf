# Who may do what: on buckets, topics, datasets, services and accounts. On the project only what Google Cloud knows no smaller place for.

locals {
  on_buckets = {
    for kind, buckets in { stores = local.store_buckets, buckets = local.store_buckets, filters = setsubtract(var.filter_buckets, local.store_buckets) } : kind => {
      for pair in setproduct(keys(local.functions), buckets) :
      "${pair[0]}/${pair[1]}" => { function = pair[0], bucket = pair[1], role = local.functions[pair[0]].roles[kind] }
      if can(local.functions[pair[0]].roles[kind])
    }
  }
  # Nobody gets a role twice on a bucket that has stores or filter files as well.
  on_destinations = {
    for pair in setproduct(keys(local.functions), setsubtract(var.destination_buckets, local.store_buckets)) :
    "${pair[0]}/${pair[1]}" => { function = pair[0], bucket = pair[1], role = local.functions[pair[0]].roles.destinations }
    if can(local.functions[pair[0]].roles.destinations) && !(can(local.functions[pair[0]].roles.filters) && contains(var.filter_buckets, pair[1]))
  }
  on_copies = {
    for pair in setproduct(keys(local.functions), var.destination_buckets) :
    "${pair[0]}/${pair[1]}" => { function = pair[0], bucket = pair[1], role = local.functions[pair[0]].roles.copies }
    if can(local.functions[pair[0]].roles.copies)
  }
  on_datasets = {
    for pair in setproduct(keys(local.functions), keys(local.datasets)) :
    "${pair[0]}/${pair[1]}" => { function = pair[0], dataset = pair[1], role = local.functions[pair[0]].roles.datasets }
    if can(local.functions[pair[0]].roles.datasets)
  }
  on_topics = merge([
    for entry_point, function in local.functions : {
      for topic in function.publishes : "${entry_point}/${topic}" => { function = entry_point, topic = topic }
    }
  ]...)

  # Service agents of Google's, which act in the project's name.
  pubsub_agent = "serviceAccount:${google_project_service_identity.pubsub.email}"
  key_users = {
    artifactregistry = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    bigquery         = "serviceAccount:bq-${data.google_project.this.number}@bigquery-encryption.iam.gserviceaccount.com"
    cloudfunctions   = "serviceAccount:service-${data.google_project.this.number}@gcf-admin-robot.iam.gserviceaccount.com"
    pubsub           = local.pubsub_agent
    run              = "serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
    storage          = "serviceAccount:service-${data.google_project.this.number}@gs-project-accounts.iam.gserviceaccount.com"
  }

  needed_apis = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
  ])
  apis = var.enable_apis ? local.needed_apis : toset([])
}

data "google_project" "this" {
  project_id = var.project
}

resource "google_project_service" "apis" {
  for_each = local.apis

  project            = var.project
  service            = each.key
  disable_on_destroy = false
}

# A call right after an API was enabled may be answered "has not been used in project", which the provider does not retry.
resource "time_sleep" "apis" {
  create_duration = var.enable_apis ? "60s" : "0s"
  triggers        = { apis = join(" ", local.apis) }

  depends_on = [google_project_service.apis]
}

# Pub/Sub's agent is created at some time after its first use, and before that nothing can be granted to it. An agent that is created on
# request gets no roles, so it has what is granted in this file: https://cloud.google.com/iam/docs/create-service-agents
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project = var.project
  service = "pubsub.googleapis.com"

  depends_on = [time_sleep.apis]
}

# What the functions may do.

resource "google_storage_bucket_iam_member" "state" {
  for_each = { for entry_point, function in local.functions : entry_point => function if can(function.roles.state) }

  bucket = google_storage_bucket.state.name
  role   = each.value.roles.state
  member = google_service_account.functions[each.key].member
}

resource "google_storage_bucket_iam_member" "stores" {
  for_each = local.on_buckets.stores

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.functions[each.value.function].member

  depends_on = [google_storage_bucket.smoke_test]
}

resource "google_storage_bucket_iam_member" "buckets" {
  for_each = local.on_buckets.buckets

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.functions[each.value.function].member

  depends_on = [google_storage_bucket.smoke_test]
}

resource "google_storage_bucket_iam_member" "filters" {
  for_each = local.on_buckets.filters

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.functions[each.value.function].member
}

# To have a project pay for a request takes serviceusage.services.use in it: https://cloud.google.com/storage/docs/requester-pays
resource "google_project_iam_member" "user_projects" {
  for_each = {
    for pair in setproduct([for entry_point, function in local.functions : entry_point if can(function.roles.stores)], local.user_projects) :
    "${pair[0]}/${pair[1]}" => { function = pair[0], project = pair[1] }
  }

  project = each.value.project
  role    = "roles/serviceusage.serviceUsageConsumer"
  member  = google_service_account.functions[each.value.function].member
}

resource "google_storage_bucket_iam_member" "destinations" {
  for_each = local.on_destinations

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.functions[each.value.function].member
}

resource "google_storage_bucket_iam_member" "copies" {
  for_each = local.on_copies

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.functions[each.value.function].member
}

resource "google_bigquery_dataset_iam_member" "functions" {
  for_each = local.on_datasets

  project    = local.datasets[each.value.dataset].project
  dataset_id = try(google_bigquery_dataset.datasets[each.value.dataset].dataset_id, local.datasets[each.value.dataset].id)
  role       = each.value.role
  member     = google_service_account.functions[each.value.function].member
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = local.on_topics

  project = var.project
  topic   = google_pubsub_topic.topics[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.functions[each.value.function].member
}

# For weeks after a custom role was deleted its id cannot be used again: https://cloud.google.com/iam/docs/creating-custom-roles
resource "random_id" "job_runner" {
  byte_length = 2
}

# An overwrite ends in a job, and one function may come upon the job that another began: no predefined role allows just that.
resource "google_project_iam_custom_role" "job_runner" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_${local.job_role}_${random_id.job_runner.hex}"
  title       = "dicom-export: begins and sees BigQuery jobs"
  permissions = ["bigquery.jobs.create", "bigquery.jobs.get"]

  depends_on = [time_sleep.apis]
}

resource "google_project_iam_member" "jobs" {
  for_each = { for entry_point, function in local.functions : entry_point => function if can(function.roles.jobs) }

  project = var.project
  role    = google_project_iam_custom_role.job_runner.id
  member  = google_service_account.functions[each.key].member
}

# Who may call the functions.

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.receivers

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.functions[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.invoker.member
}

resource "google_cloud_run_v2_service_iam_member" "api_callers" {
  for_each = var.api_callers

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.functions["export_api"].name
  role     = "roles/run.invoker"
  member   = each.key
}

# `gcloud run services proxy` looks up the service before it calls it.
resource "google_cloud_run_v2_service_iam_member" "api_viewers" {
  for_each = var.api_callers

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.functions["export_api"].name
  role     = "roles/run.viewer"
  member   = each.key
}

resource "google_pubsub_topic_iam_member" "requesters" {
  for_each = var.requesters

  project = var.project
  topic   = google_pubsub_topic.topics["export-requests"].name
  role    = "roles/pubsub.publisher"
  member  = each.key
}

# What Pub/Sub may do: sign in as the invoker, and move messages to the topics of dead letters.

resource "google_service_account_iam_member" "pubsub_signs_in" {
  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = toset([for function in values(local.receivers) : function.dead_letters])

  project = var.project
  topic   = google_pubsub_topic.topics[each.key].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.receivers

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# What builds the functions.

resource "google_service_account" "build" {
  project      = var.project
  account_id   = "${var.name}-build"
  display_name = "dicom-export: builds the functions"

  depends_on = [time_sleep.apis]
}

resource "google_project_iam_member" "build" {
  for_each = {
    logs = { role = "roles/logging.logWriter", only = null }
    # Cloud Functions copies the archive to a bucket of its own making.
    source = {
      role = "roles/storage.objectViewer"
      only = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
    }
  }

  project = var.project
  role    = each.value.role
  member  = google_service_account.build.member

  dynamic "condition" {
    for_each = each.value.only[*]

    content {
      title      = "only-the-sources-of-functions"
      expression = condition.value
    }
  }
}

resource "google_storage_bucket_iam_member" "source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

# The first build fetches the archive with the rights that were granted a moment ago. A grant takes effect after about 2 minutes:
# https://cloud.google.com/iam/docs/access-change-propagation
resource "time_sleep" "build_may_read" {
  create_duration = "120s"

  triggers = {
    account = google_service_account.build.unique_id
    grants = join(" ", concat(
      values(google_project_iam_member.build)[*].id,
      [google_storage_bucket_iam_member.source.id, google_artifact_registry_repository_iam_member.build.id],
    ))
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = var.kms_key == null ? {} : local.key_users

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [time_sleep.apis]
}
