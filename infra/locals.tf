# What the installation is made of, as values: the functions and what each may do, the topics, the stores, the settings.
# No resource is named here, so that tests/validation can check the variables without a provider.

locals {
  # What each entry point takes, is given, and may do. `topic` is what it takes the pushes of; without one it answers HTTP.
  # `dead_letters` is where its messages go when they are out of attempts. README.md says why the sizes are what they are.
  entry_points = {
    export_api = {
      size      = { memory = "512Mi", cpu = "1", concurrency = 40, max_instances = 10 }
      roles     = { state = local.state_role, buckets = local.bucket_role, stores = local.store_role, filters = local.store_role, destinations = local.store_role, datasets = "roles/bigquery.metadataViewer" }
      publishes = ["plan-export"]
    }
    start_export = {
      topic        = "export-requests"
      dead_letters = "dead-export-requests"
      max_attempts = var.max_delivery_attempts
      size         = { memory = "512Mi", cpu = "1", concurrency = 10, max_instances = 5 }
      roles        = { state = local.state_role, buckets = local.bucket_role, stores = local.store_role, filters = local.store_role, destinations = local.store_role, datasets = "roles/bigquery.metadataViewer" }
      publishes    = ["plan-export"]
    }
    plan_export = {
      topic        = "plan-export"
      dead_letters = "dead-letters"
      max_attempts = var.max_delivery_attempts
      size         = { memory = "2Gi", cpu = "1", concurrency = 2, max_instances = 10 }
      roles        = { state = local.state_role, buckets = local.bucket_role, stores = local.store_role, filters = local.store_role, datasets = "roles/bigquery.dataEditor", staging = local.staging_role, jobs = local.job_role }
      publishes    = ["plan-export", "export-study", "study-exported"]
    }
    export_study = {
      topic        = "export-study"
      dead_letters = "dead-letters"
      max_attempts = var.max_delivery_attempts
      size         = { memory = "2Gi", cpu = "1", concurrency = 2, max_instances = 4 }
      roles        = { state = local.state_role, stores = local.store_role, destinations = local.store_role, copies = local.copy_role, datasets = "roles/bigquery.dataEditor", staging = local.staging_role }
      publishes    = ["export-study", "study-exported"]
    }
    stream_instance = {
      topic        = "instance-changed"
      dead_letters = "dead-instance-changes"
      max_attempts = var.max_delivery_attempts
      size         = { memory = "1Gi", cpu = "1", concurrency = 8, max_instances = 10 }
      roles        = { state = local.state_role, stores = local.store_role, datasets = "roles/bigquery.dataEditor" }
      publishes    = []
    }
    record_result = {
      topic        = "study-exported"
      dead_letters = "dead-letters"
      max_attempts = var.max_delivery_attempts
      size         = { memory = "1Gi", cpu = "1", concurrency = 8, max_instances = 5 }
      roles        = { state = local.state_role, datasets = "roles/bigquery.dataEditor", staging = local.staging_role, jobs = local.job_role }
      publishes    = ["plan-export", "instance-changed"]
    }
    record_dead_letter = {
      topic        = "dead-letters"
      dead_letters = local.last_topic
      max_attempts = local.most_attempts
      size         = { memory = "1Gi", cpu = "1", concurrency = 4, max_instances = 3 }
      roles        = { state = local.state_role, datasets = "roles/bigquery.dataEditor", staging = local.staging_role, jobs = local.job_role }
      publishes    = ["plan-export", "export-study", "study-exported", "instance-changed"]
    }
    report_lost_instance = {
      topic        = "dead-instance-changes"
      dead_letters = local.last_topic
      max_attempts = local.most_attempts
      size         = { memory = "512Mi", cpu = "1", concurrency = 4, max_instances = 2 }
      # Only to answer a check of `dicom-export doctor`.
      roles     = { state = local.state_role }
      publishes = []
    }
    refuse_export = {
      topic        = "dead-export-requests"
      dead_letters = local.last_topic
      max_attempts = local.most_attempts
      size         = { memory = "512Mi", cpu = "1", concurrency = 4, max_instances = 2 }
      roles        = { state = local.state_role }
      publishes    = ["plan-export"]
    }
  }

  functions = {
    for entry_point, function in local.entry_points : entry_point => merge(
      { topic = null, dead_letters = null, max_attempts = null },
      function,
      {
        name = "${var.name}-${replace(entry_point, "_", "-")}"
        size = merge(
          { min_instances = 0 },
          function.size,
          { for setting, value in try(var.sizes[entry_point], {}) : setting => value if value != null },
        )
      },
    )
  }
  receivers = { for entry_point, function in local.functions : entry_point => function if function.topic != null }

  # Messages that export_study handles at once, and how many an operation may have outstanding for each: one that is handled, one that waits.
  slots             = local.functions["export_study"].size.max_instances * local.functions["export_study"].size.concurrency
  messages_per_slot = 2

  # Write streams that export_study may open in an hour: one per message, and a message of 1,000 instances takes about 4 s.
  streams_per_hour = local.slots * 3600 / 4
  # Of 10,000 in a project and region. Cloud Run may run more instances than the maximum for a short time, hence the margin.
  # https://cloud.google.com/bigquery/quotas#createwritestream
  most_streams_per_hour = 0.75 * 10000

  # A push is answered within the acknowledgement deadline, or comes again.
  timeout_seconds = 600

  # The settings of functions/dicom_export/settings/cloud.py. What is null is left to the code.
  environment = { for name, value in {
    DICOM_EXPORT_PROJECT             = var.project
    DICOM_EXPORT_STORES              = jsonencode(local.declared_stores)
    DICOM_EXPORT_STATE               = "gs://${local.state_bucket}"
    DICOM_EXPORT_TOPIC_PREFIX        = var.topic_prefix == "" ? null : var.topic_prefix
    DICOM_EXPORT_FAILURES_TABLE      = var.failures_table
    DICOM_EXPORT_READERS             = var.limits.readers
    DICOM_EXPORT_MAX_STALENESS_HOURS = var.max_staleness_hours
    DICOM_EXPORT_STAGING_DATASETS    = jsonencode(merge([for dataset in values(local.datasets) : { "${dataset.project}.${dataset.id}" = "${var.project}.${dataset.staging}" }]...))
    DICOM_EXPORT_BUNDLE              = var.limits.bundle
    DICOM_EXPORT_SPLIT               = var.limits.split
    DICOM_EXPORT_PAGE_TASKS          = var.limits.page_tasks
    DICOM_EXPORT_PAGE_OBJECTS        = var.limits.page_objects
    DICOM_EXPORT_SAMPLE              = var.limits.sample
    DICOM_EXPORT_OUTSTANDING         = coalesce(var.limits.outstanding, local.messages_per_slot * local.slots)

    DICOM_EXPORT_MAX_ELEMENTS         = var.limits.max_elements
    DICOM_EXPORT_MAX_VALUES           = var.limits.max_values
    DICOM_EXPORT_MAX_HEADER_BYTES     = var.limits.max_header_bytes
    DICOM_EXPORT_MAX_INFLATED_BYTES   = var.limits.max_inflated_bytes
    DICOM_EXPORT_MAX_DEPTH            = var.limits.max_depth
    DICOM_EXPORT_MAX_SECONDS          = var.limits.max_seconds
    DICOM_EXPORT_MAX_TABLE_COLUMNS    = var.limits.max_table_columns
    DICOM_EXPORT_MAX_INSTANCE_COLUMNS = var.limits.max_instance_columns
  } : name => tostring(value) if value != null }

  state_role = "roles/storage.objectUser"
  store_role = "roles/storage.objectViewer"
  # Copies are created, and nothing in a destination is ever replaced or deleted.
  copy_role = "roles/storage.objectCreator"
  # Of what objectViewer lacks it has storage.buckets.get alone: the class of a bucket, and who pays for its requests.
  bucket_role = "roles/storage.legacyBucketReader"
  # A dataset's own list of readers and writers calls roles/bigquery.dataEditor so.
  staging_role = "WRITER"
  # Names a custom role of this project; see google_project_iam_custom_role.job_runner.
  job_role = "job_runner"

  # Where a dead letter goes that could not be recorded in most_attempts attempts, which is in 16 hours and more. Nothing reads it
  # but an operator, so its subscription has no dead letters of its own.
  last_topic    = "lost-letters"
  most_attempts = 100

  topics = toset(concat(
    [for function in values(local.receivers) : function.topic],
    [for function in values(local.receivers) : function.dead_letters],
  ))

  week  = "604800s"
  month = "2678400s"

  state_bucket  = "${replace(replace(var.project, ":", "-"), ".", "-")}-${var.name}-state"
  source_bucket = "${replace(replace(var.project, ":", "-"), ".", "-")}-${var.name}-source"

  # `staging` is the id of the dataset, in this project, in which the overwrites of a dataset are prepared. The dataset of the
  # smoke test goes with the installation.
  datasets = {
    for key, dataset in merge(
      { for key, dataset in var.datasets : key => { create = dataset.create, is_kept = true, project = dataset.project, dataset_id = dataset.dataset_id, location = dataset.location } },
      { for id in var.smoke_test_store ? [local.smoke_test_dataset] : [] : id => { create = true, is_kept = false, project = null, dataset_id = null, location = null } },
      ) : key => {
      create   = dataset.create
      is_kept  = dataset.is_kept
      project  = coalesce(dataset.project, var.project)
      id       = coalesce(dataset.dataset_id, key)
      location = coalesce(dataset.location, var.region)
      staging  = "${replace(var.name, "-", "_")}_staging_${replace(key, "/[^A-Za-z0-9_]/", "_")}"
    }
  }
  # The stores of the input, and that of the smoke test.
  smoke_test_bucket = "${replace(replace(var.project, ":", "-"), ".", "-")}-${var.name}-smoke-test"
  smoke_test_table  = "bq://${var.project}.${local.smoke_test_dataset}.streamed"
  # Without dashes, as the ids of datasets are.
  smoke_test_dataset = "${replace(var.name, "-", "_")}_smoke_test"
  stores = merge(var.stores, { for id in var.smoke_test_store ? ["smoke-test"] : [] : id => {
    bucket = local.smoke_test_bucket
    prefix = "dicom/"
    ignore = []
    views  = false

    archives         = false
    allow_cold_reads = false
    user_project     = null
    location         = null
    dataset          = "dicom"
    project          = null

    stream_configs = [{ table = local.smoke_test_table, schema = "flattened", include_source_store = false, include_source_object = false, tracks_changes = false, last_updated_partition_config = null }]
    stream_deletes = true
  } })

  # As DICOM_EXPORT_STORES has them.
  declared_stores = {
    for id, store in local.stores :
    "projects/${var.project}/locations/${coalesce(store.location, var.region)}/datasets/${store.dataset}/dicomStores/${id}" => { for field, value in {
      bucket         = store.bucket
      prefix         = store.prefix
      ignore         = store.ignore
      views          = store.views
      allowColdReads = store.allow_cold_reads ? true : null
      archives       = store.archives ? true : null
      userProject    = store.user_project
      streamConfigs = [for config in store.stream_configs : { bigqueryDestination = merge(
        {
          tableUri            = config.table
          includeSourceStore  = config.include_source_store
          includeSourceObject = config.include_source_object
        },
        config.schema == "json" ? { schemaJson = {} } : { schemaFlattened = {} },
        config.tracks_changes ? { changeDataCaptureConfig = {} } : {},
        try(config.last_updated_partition_config, null) == null ? {} : { lastUpdatedPartitionConfig = merge(
          { type = config.last_updated_partition_config.type },
          config.last_updated_partition_config.expiration_ms == null ? {} : { expirationMs = format("%d", config.last_updated_partition_config.expiration_ms) },
        ) },
      ) }]
    } : field => value if value != null && (field != "streamConfigs" || length(store.stream_configs) > 0) }
  }
  # Projects that pay for requests to buckets whose requester pays.
  user_projects = toset([for store in values(var.stores) : store.user_project if store.user_project != null])
  store_buckets = toset([for store in values(local.stores) : store.bucket])
}
