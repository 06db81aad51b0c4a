# What a plan has to have, whoever changes it. Each run reads the whole schema of the provider, so there are two of them.

mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  project = "my-project"
  region  = "us-central1"
  stores = {
    archive = { bucket = "hospital-archive", prefix = "dicom/", ignore = ["*.txt"] }
    trials  = { bucket = "hospital-trials", dataset = "research" }
  }
  datasets = {
    dicom     = { create = true }
    warehouse = { project = "other-project" }
  }
  failures_table = "bq://my-project.dicom.failures"
  requesters     = ["serviceAccount:nightly@my-project.iam.gserviceaccount.com"]
  api_callers    = ["group:radiology@example.com"]
}

run "an_ordinary_installation" {
  command = plan

  # Every subscription has dead letters and a retry policy.

  assert {
    condition     = length(google_pubsub_subscription.push) == length(local.entry_points) - 1
    error_message = "Each function but the API's has a subscription."
  }
  assert {
    condition = alltrue([
      for subscription in values(google_pubsub_subscription.push) :
      length(subscription.dead_letter_policy) == 1 && subscription.dead_letter_policy[0].max_delivery_attempts >= 5
    ])
    error_message = "Each push subscription has a topic of dead letters. (The one that keeps lost letters is the end of the road, and pushes nothing.)"
  }
  assert {
    condition = alltrue([
      for subscription in concat(values(google_pubsub_subscription.push), [google_pubsub_subscription.lost_letters]) :
      subscription.retry_policy[0].minimum_backoff == "10s" && subscription.retry_policy[0].maximum_backoff == "600s"
    ])
    error_message = "Each subscription backs off from 10 to 600 s."
  }
  assert {
    condition = alltrue([
      for subscription in concat(values(google_pubsub_subscription.push), [google_pubsub_subscription.lost_letters]) :
      subscription.ack_deadline_seconds == 600 && subscription.expiration_policy[0].ttl == ""
    ])
    error_message = "Each subscription waits 600 s for an acknowledgement, and never expires."
  }
  assert {
    condition     = alltrue([for subscription in values(google_pubsub_subscription.push) : subscription.message_retention_duration == "604800s"])
    error_message = "A message is kept for 7 days."
  }
  assert {
    condition     = google_pubsub_subscription.lost_letters.message_retention_duration == "2678400s"
    error_message = "A lost letter is kept for 31 days, the most that there is."
  }
  assert {
    condition     = alltrue([for subscription in values(google_pubsub_subscription.push) : length(subscription.push_config[0].oidc_token) == 1])
    error_message = "Each push says who it is."
  }

  # Dead letters of users and of ours are apart and none is lost.

  assert {
    condition     = local.functions["start_export"].dead_letters == "dead-export-requests" && local.functions["refuse_export"].topic == "dead-export-requests"
    error_message = "What users write goes to refuse_export."
  }
  assert {
    condition     = alltrue([for name in ["plan_export", "export_study", "record_result"] : local.functions[name].dead_letters == "dead-letters"])
    error_message = "What the functions write goes to record_dead_letter."
  }
  assert {
    condition = alltrue([
      for function in values(local.receivers) :
      function.dead_letters == local.last_topic || contains([for other in values(local.receivers) : other.topic], function.dead_letters)
    ])
    error_message = "Each topic of dead letters has a subscription; without one, Pub/Sub drops what is published there."
  }
  assert {
    condition     = toset(keys(google_pubsub_topic_iam_member.dead_letters)) == toset([for function in values(local.receivers) : function.dead_letters])
    error_message = "Pub/Sub may publish on each topic of dead letters."
  }
  assert {
    condition     = keys(google_pubsub_subscription_iam_member.dead_letters) == keys(google_pubsub_subscription.push)
    error_message = "Pub/Sub may acknowledge what it moves."
  }

  # Every function has a service account of its own.

  assert {
    condition     = keys(google_service_account.functions) == keys(google_cloudfunctions2_function.functions)
    error_message = "Each function has a service account."
  }
  assert {
    condition     = length(distinct([for account in values(google_service_account.functions) : account.account_id])) == length(local.entry_points)
    error_message = "No two functions share a service account."
  }
  assert {
    condition     = alltrue([for function in values(google_cloudfunctions2_function.functions) : length(function.event_trigger) == 0])
    error_message = "Messages come by push subscriptions, not by event triggers."
  }
  assert {
    condition = alltrue([
      for name, function in google_cloudfunctions2_function.functions :
      function.service_config[0].ingress_settings == (name == "export_api" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY")
    ])
    error_message = "Only the API takes requests from outside."
  }

  assert {
    condition = alltrue([
      for name, function in google_cloudfunctions2_function.functions :
      lookup(function.service_config[0].environment_variables, "FORWARDED_ALLOW_IPS", "") == (name == "export_api" ? "*" : "")
    ])
    error_message = "Only the API, which serves URLs, believes the forwarded scheme."
  }

  # Roles are narrow and nobody is everybody.

  assert {
    condition = alltrue([for role in concat(
      [for grant in values(google_storage_bucket_iam_member.state) : grant.role],
      [for grant in values(google_storage_bucket_iam_member.stores) : grant.role],
      [for grant in values(google_storage_bucket_iam_member.buckets) : grant.role],
      [for grant in values(google_storage_bucket_iam_member.filters) : grant.role],
      [for grant in values(google_storage_bucket_iam_member.destinations) : grant.role],
      [for grant in values(google_storage_bucket_iam_member.copies) : grant.role],
      [for grant in values(google_bigquery_dataset_iam_member.functions) : grant.role],
      [for grant in values(google_pubsub_topic_iam_member.publishers) : grant.role],
      [for grant in values(google_project_iam_member.build) : grant.role],
      [for grant in values(google_cloud_run_v2_service_iam_member.invoker) : grant.role],
      [for grant in values(google_cloud_run_v2_service_iam_member.api_callers) : grant.role],
      [for grant in values(google_cloud_run_v2_service_iam_member.api_viewers) : grant.role],
    ) : !contains(["roles/editor", "roles/owner", "roles/viewer"], role) && !endswith(role, ".admin") && !endswith(role, ".objectAdmin")])
    error_message = "No role is a basic one or an administrator's."
  }
  assert {
    condition     = keys(google_project_iam_member.jobs) == ["plan_export", "record_dead_letter", "record_result"]
    error_message = "On the project, only those that replace, compare or search tables have a role: to run jobs."
  }
  assert {
    condition     = google_project_iam_custom_role.job_runner.permissions == toset(["bigquery.jobs.create", "bigquery.jobs.get"])
    error_message = "The role for jobs is for jobs."
  }
  assert {
    condition = alltrue([for member in concat(
      [for grant in values(google_cloud_run_v2_service_iam_member.api_callers) : grant.member],
      [for grant in values(google_pubsub_topic_iam_member.requesters) : grant.member],
    ) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "Nobody is everybody."
  }
  assert {
    condition     = keys(google_cloud_run_v2_service_iam_member.api_callers) == ["group:radiology@example.com"]
    error_message = "Who may call the API is who was named."
  }
  assert {
    condition     = keys(google_cloud_run_v2_service_iam_member.api_viewers) == keys(google_cloud_run_v2_service_iam_member.api_callers)
    error_message = "Who may call the API may look up its service, as `gcloud run services proxy` does."
  }
  assert {
    condition = toset(keys(google_storage_bucket_iam_member.stores)) == toset(flatten([
      for name in ["export_api", "start_export", "plan_export", "export_study", "stream_instance"] : ["${name}/hospital-archive", "${name}/hospital-trials"]
    ]))
    error_message = "Those that read stores, and no others, may read the stores' buckets, and no others."
  }
  assert {
    condition     = alltrue([for grant in values(google_storage_bucket_iam_member.stores) : grant.role == "roles/storage.objectViewer"])
    error_message = "Nobody writes to a store."
  }

  assert {
    condition = toset(keys(google_storage_bucket_iam_member.buckets)) == toset(flatten([
      for name in ["export_api", "start_export", "plan_export"] : ["${name}/hospital-archive", "${name}/hospital-trials"]
    ]))
    error_message = "What begins an export, and nothing else, may read the settings of the stores' buckets."
  }

  # The buckets are private and delete what is deleted.

  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.state, google_storage_bucket.source] :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && bucket.soft_delete_policy[0].retention_duration_seconds == 0
    ])
    error_message = "The installation's buckets have uniform access, no public access, and no soft delete."
  }
  assert {
    condition     = one(one(google_storage_bucket.state.lifecycle_rule).condition).age == 90
    error_message = "State is deleted by its age."
  }

  # Stores are declared as the code reads them.

  assert {
    condition = jsondecode(local.environment["DICOM_EXPORT_STORES"]) == {
      "projects/my-project/locations/us-central1/datasets/dicom/dicomStores/archive"   = { bucket = "hospital-archive", prefix = "dicom/", ignore = ["*.txt"], views = true }
      "projects/my-project/locations/us-central1/datasets/research/dicomStores/trials" = { bucket = "hospital-trials", prefix = "", ignore = [], views = true }
    }
    error_message = "DICOM_EXPORT_STORES is not what was declared."
  }
  assert {
    condition     = local.environment["DICOM_EXPORT_STATE"] == "gs://my-project-dicom-state"
    error_message = "The state is in the installation's bucket."
  }
  assert {
    condition     = keys(local.environment) == ["DICOM_EXPORT_FAILURES_TABLE", "DICOM_EXPORT_MAX_STALENESS_HOURS", "DICOM_EXPORT_OUTSTANDING", "DICOM_EXPORT_PROJECT", "DICOM_EXPORT_STAGING_DATASETS", "DICOM_EXPORT_STATE", "DICOM_EXPORT_STORES"]
    error_message = "What is not set is left to the code."
  }

  # Nothing of the smoke test and no operator unless asked for.

  assert {
    condition     = length(google_storage_bucket.smoke_test) == 0 && length(google_project_iam_custom_role.operator) == 0 && length(google_storage_bucket_iam_member.operators_of_state) == 0
    error_message = "What was not asked for is there."
  }

  # Only datasets of the installation are created and they stay.

  assert {
    condition     = keys(google_bigquery_dataset.datasets) == ["dicom"] && google_bigquery_dataset.datasets["dicom"].deletion_policy == "ABANDON"
    error_message = "A dataset that exists is not created, and one that was created is not destroyed with its rows."
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.functions["export_study/warehouse"].project == "other-project"
    error_message = "Another project's dataset gets access there."
  }

  # What is not in its table yet is seen by the functions that write it, and by nobody else.

  assert {
    condition     = keys(google_bigquery_dataset.staging) == ["dicom", "warehouse"] && google_bigquery_dataset.staging["warehouse"].project == "my-project"
    error_message = "Each dataset has one for overwrites, in the project of the installation."
  }
  assert {
    condition     = jsondecode(local.environment["DICOM_EXPORT_STAGING_DATASETS"]) == { "my-project.dicom" = "my-project.${google_bigquery_dataset.staging["dicom"].dataset_id}", "other-project.warehouse" = "my-project.${google_bigquery_dataset.staging["warehouse"].dataset_id}" }
    error_message = "The functions do not know in which dataset they prepare the overwrites of each dataset."
  }
  assert {
    condition     = local.staging_writers == toset(["export_study", "plan_export", "record_dead_letter", "record_result"])
    error_message = "Those that write, swap and drop the rows of an overwrite have access to a staging dataset, and no others."
  }
  assert {
    condition     = alltrue([for dataset in values(google_bigquery_dataset.staging) : dataset.delete_contents_on_destroy && dataset.default_table_expiration_ms == 604800000])
    error_message = "What an abandoned overwrite leaves behind expires, and does not stay when the installation goes."
  }

  # The archive has the functions and nothing else.

  assert {
    condition     = alltrue([for name in ["main.py", "requirements.txt", "dicom_export/__init__.py"] : contains(keys(local.source_files), name)])
    error_message = "The archive lacks the functions or what they require."
  }
  assert {
    condition     = alltrue([for name in keys(local.source_files) : can(regex("^requirements.txt$|[.]py$|/py.typed$|/console/.*[.](html|css|js|svg|sql)$", name))])
    error_message = "The archive has what is no source."
  }
  assert {
    condition     = google_storage_bucket_object.source.name == "functions-${local.source_hash}.zip"
    error_message = "The archive is not named by its content."
  }

  # No notification without stream configs.

  assert {
    condition     = length(google_storage_notification.stores) == 0
    error_message = "A bucket of a store that is exported on request only tells of its changes."
  }
  assert {
    condition     = local.environment["DICOM_EXPORT_OUTSTANDING"] == "16"
    error_message = "An operation has two messages outstanding for each that export_study handles at once, 4 × 2."
  }
}

run "an_installation_with_everything_set" {
  command = plan

  # 40 workers open more streams than BigQuery allows without more quota: a warning.
  expect_failures = [check.write_streams]

  variables {
    topic_prefix          = "test-"
    limits                = { bundle = 500, split = 2000, page_tasks = 50, page_objects = 10000, sample = 100, readers = 8, outstanding = 50 }
    sizes                 = { export_study = { max_instances = 40, memory = "4Gi" } }
    max_delivery_attempts = 12
    max_staleness_hours   = 12
    operators             = ["user:jane@example.com"]
    smoke_test_store      = true
    stores = {
      archive = { bucket = "hospital-archive", prefix = "dicom/", stream_configs = [
        { table = "bq://my-project.dicom.live", include_source_object = true, last_updated_partition_config = { type = "MONTH", expiration_ms = 31536000000 } },
        { table = "bq://my-project.dicom.years", last_updated_partition_config = { type = "YEAR" } },
      ] }
      trials = { bucket = "hospital-trials", allow_cold_reads = true, user_project = "trials-billing" }
    }
    kms_key               = "projects/keys/locations/us-central1/keyRings/dicom/cryptoKeys/dicom"
    datasets              = { dicom = { create = true }, euro = { create = true, location = "EU" } }
    notification_channels = ["projects/my-project/notificationChannels/1"]
  }

  # Attempts end well before a stream expires.

  assert {
    # Each attempt takes the acknowledgement deadline, each but the last is followed by the back-off: 10 s, 20 s, … 600 s.
    condition = alltrue([for name in ["plan_export", "export_study", "record_result"] :
      google_pubsub_subscription.push[name].dead_letter_policy[0].max_delivery_attempts * 600 + sum([for attempt in range(11) : min(10 * pow(2, attempt), 600)]) <= 3.25 * 3600
    ])
    error_message = "The most attempts take more than 3 hours and a quarter; a finalized stream has to be committed within 4."
  }

  # Whoever reads a bucket whose requester pays may have the project pay.

  assert {
    condition     = keys(google_project_iam_member.user_projects) == [for name in ["export_api", "export_study", "plan_export", "start_export", "stream_instance"] : "${name}/trials-billing"]
    error_message = "The functions that read stores may have user_project pay, and no others."
  }
  assert {
    condition = [for store in values(jsondecode(local.environment["DICOM_EXPORT_STORES"])) : [try(store.allowColdReads, false), try(store.userProject, "")]] == [
      [false, ""], [false, ""], [true, "trials-billing"]
    ]
    error_message = "What a store says about costs does not arrive."
  }

  # Every setting can be set.

  assert {
    condition = [for name in ["BUNDLE", "SPLIT", "PAGE_TASKS", "PAGE_OBJECTS", "SAMPLE", "READERS", "OUTSTANDING", "TOPIC_PREFIX"] : local.environment["DICOM_EXPORT_${name}"]] == [
      "500", "2000", "50", "10000", "100", "8", "50", "test-"
    ]
    error_message = "A limit does not arrive."
  }
  assert {
    condition     = local.environment["DICOM_EXPORT_MAX_STALENESS_HOURS"] == "12"
    error_message = "The staleness of tables that track changes does not arrive."
  }
  assert {
    condition = [
      for store in values(jsondecode(local.environment["DICOM_EXPORT_STORES"])) : store.streamConfigs[0].bigqueryDestination.includeSourceObject if store.bucket == "hospital-archive"
    ] == [true]
    error_message = "The columns of the object of each row are not asked for."
  }
  assert {
    condition = [
      for config in flatten([for store in values(jsondecode(local.environment["DICOM_EXPORT_STORES"])) : store.streamConfigs if store.bucket == "hospital-archive"]) :
      jsonencode(config.bigqueryDestination.lastUpdatedPartitionConfig)
    ] == [jsonencode({ expirationMs = "31536000000", type = "MONTH" }), jsonencode({ type = "YEAR" })]
    error_message = "The partitions of a table do not arrive."
  }
  assert {
    condition     = google_pubsub_topic.topics["plan-export"].name == "test-plan-export"
    error_message = "The topics' names do not begin with the prefix."
  }

  # Sizes change what they name.

  assert {
    condition = [
      google_cloudfunctions2_function.functions["export_study"].service_config[0].max_instance_count,
      google_cloudfunctions2_function.functions["export_study"].service_config[0].max_instance_request_concurrency,
      google_cloudfunctions2_function.functions["plan_export"].service_config[0].max_instance_count,
    ] == [40, local.entry_points.export_study.size.concurrency, local.entry_points.plan_export.size.max_instances]
    error_message = "A size changes something else, or nothing."
  }

  # A customers key is used throughout.

  assert {
    condition = alltrue(flatten([
      [for topic in values(google_pubsub_topic.topics) : topic.kms_key_name == var.kms_key],
      [for bucket in [google_storage_bucket.state, google_storage_bucket.source] : bucket.encryption[0].default_kms_key_name == var.kms_key],
      [for function in values(google_cloudfunctions2_function.functions) : function.kms_key_name == var.kms_key],
      [google_artifact_registry_repository.images.kms_key_name == var.kms_key],
      [google_bigquery_dataset.staging["dicom"].default_encryption_configuration[0].kms_key_name == var.kms_key],
      [google_bigquery_dataset.datasets["dicom"].default_encryption_configuration[0].kms_key_name == var.kms_key],
    ]))
    error_message = "Something is not encrypted with the customer's key."
  }
  assert {
    condition     = length(google_bigquery_dataset.datasets["euro"].default_encryption_configuration) == 0
    error_message = "A key serves its own location only."
  }
  assert {
    condition     = google_bigquery_dataset.staging["euro"].location == "EU" && length(google_bigquery_dataset.staging["euro"].default_encryption_configuration) == 0
    error_message = "A staging dataset is where its dataset is."
  }
  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 6
    error_message = "The service agents may not use the key."
  }

  # Alerts and dashboard are there.

  assert {
    condition     = keys(google_monitoring_alert_policy.alerts) == ["dead_letters", "failing_functions", "lost_letters", "old_message", "stalled_operation"]
    error_message = "An alert is missing."
  }
  assert {
    condition     = alltrue([for alert in values(google_monitoring_alert_policy.alerts) : length(alert.notification_channels) == 1 && length(alert.documentation) == 1])
    error_message = "Each alert tells somebody, and what to do."
  }
  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles) == length(local.charts)
    error_message = "A chart is missing."
  }
  assert {
    condition = length(distinct([
      for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : "${tile.xPos}/${tile.yPos}"
    ])) == length(local.charts)
    error_message = "Two charts are in one place."
  }

  # Stores with stream configs tell of their new objects, and no others.

  assert {
    condition     = keys(google_storage_notification.stores) == ["archive", "smoke-test"] && google_storage_notification.stores["archive"].event_types == toset(["OBJECT_FINALIZE"])
    error_message = "The stores with stream configs, and no others, tell of new objects."
  }

  # Operators see how the installation is set up.

  assert {
    condition = google_project_iam_custom_role.operator[0].permissions == toset([
      "bigquery.datasets.get", "cloudfunctions.runtimes.list", "pubsub.subscriptions.get", "pubsub.topics.get",
      "serviceusage.services.get", "serviceusage.services.use", "storage.buckets.get",
    ])
    error_message = "The role of operators reads settings, and no data."
  }
  assert {
    condition     = length(google_pubsub_topic_iam_member.operators) == length(local.receivers)
    error_message = "An operator may publish check messages to each function."
  }

  # The smoke test has a bucket and a dataset of its own.

  assert {
    condition     = google_storage_bucket.smoke_test[0].force_destroy && google_bigquery_dataset.datasets["dicom_smoke_test"].deletion_policy == "DELETE" && google_bigquery_dataset.datasets["dicom_smoke_test"].delete_contents_on_destroy
    error_message = "The bucket and the dataset of the smoke test are destroyed with all that is in them."
  }
  assert {
    condition     = google_bigquery_dataset.datasets["dicom"].deletion_policy == "ABANDON" && !google_bigquery_dataset.datasets["dicom"].delete_contents_on_destroy
    error_message = "A dataset of the user is not destroyed with its rows."
  }
  assert {
    condition     = google_storage_notification.stores["smoke-test"].event_types == toset(["OBJECT_FINALIZE", "OBJECT_ARCHIVE", "OBJECT_DELETE"])
    error_message = "The bucket of the smoke test reports deletions too."
  }
  assert {
    condition     = keys(google_storage_bucket_iam_member.smoke_testers) == ["user:jane@example.com"]
    error_message = "Only operators write to the bucket of the smoke test."
  }
}
