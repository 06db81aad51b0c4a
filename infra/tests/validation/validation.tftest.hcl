# What cannot work is refused, by the variable that says it: each case is one wrong value.

variables {
  project     = "my-project"
  region      = "us-central1"
  stores      = { archive = { bucket = "my-dicom", prefix = "dicom/" } }
  api_callers = []
}

run "a_number_is_no_projects_id" {
  command = plan

  variables {
    project = "123456789012"
  }

  expect_failures = [var.project]
}

run "a_name_is_no_projects_id" {
  command = plan

  variables {
    project = "My Project"
  }

  expect_failures = [var.project]
}

run "a_multi_region_is_no_region" {
  command = plan

  variables {
    region = "US"
  }

  expect_failures = [var.region]
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "us-central1-a"
  }

  expect_failures = [var.region]
}

run "there_is_a_store" {
  command = plan

  variables {
    stores = {}
  }

  expect_failures = [var.stores]
}

run "a_stores_id_is_no_path" {
  command = plan

  variables {
    stores = { "a/b" = { bucket = "my-dicom" } }
  }

  expect_failures = [var.stores]
}

run "a_stores_dataset_is_no_path" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", dataset = "x/y" } }
  }

  expect_failures = [var.stores]
}

run "a_stores_location_is_no_path" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", location = "us/central1" } }
  }

  expect_failures = [var.stores]
}

run "a_bucket_is_named_without_its_scheme" {
  command = plan

  variables {
    stores = { a = { bucket = "gs://my-dicom" } }
  }

  expect_failures = [var.stores]
}

run "a_bucket_has_no_capitals" {
  command = plan

  variables {
    stores = { a = { bucket = "My-Dicom" } }
  }

  expect_failures = [var.stores]
}

run "a_part_of_a_buckets_name_is_short" {
  command = plan

  variables {
    stores = { a = { bucket = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" } }
  }

  expect_failures = [var.stores]
}

run "a_prefix_ends_with_a_slash" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", prefix = "dicom" } }
  }

  expect_failures = [var.stores]
}

run "a_prefix_begins_with_no_slash" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", prefix = "/dicom/" } }
  }

  expect_failures = [var.stores]
}

run "a_pattern_is_not_empty" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", ignore = [""] } }
  }

  expect_failures = [var.stores]
}

run "prefixes_do_not_overlap" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", prefix = "ct/" }, b = { bucket = "my-dicom", prefix = "ct/2024/" } }
  }

  expect_failures = [var.stores]
}

run "a_whole_bucket_overlaps_its_folders" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom" }, b = { bucket = "my-dicom", prefix = "ct/" } }
  }

  expect_failures = [var.stores]
}

run "a_store_is_not_where_the_state_is" {
  command = plan

  variables {
    stores = { a = { bucket = "my-project-dicom-state" } }
  }

  expect_failures = [var.stores]
}

run "a_filters_bucket_is_named_without_its_scheme" {
  command = plan

  variables {
    filter_buckets = ["gs://filters"]
  }

  expect_failures = [var.filter_buckets]
}

run "a_destination_is_named_without_its_scheme" {
  command = plan

  variables {
    destination_buckets = ["gs://cohorts"]
  }

  expect_failures = [var.destination_buckets]
}

run "a_destination_is_not_where_the_state_is" {
  command = plan

  variables {
    destination_buckets = ["my-project-dicom-state"]
  }

  expect_failures = [var.destination_buckets]
}

run "there_is_a_dataset" {
  command = plan

  variables {
    datasets = {}
  }

  expect_failures = [var.datasets]
}

run "a_dataset_has_no_dash" {
  command = plan

  variables {
    datasets = { my-dataset = {} }
  }

  expect_failures = [var.datasets]
}

run "a_dataset_is_named_without_its_project" {
  command = plan

  variables {
    datasets = { "my-project.dicom" = {} }
  }

  expect_failures = [var.datasets]
}

run "a_datasets_project_is_an_id" {
  command = plan

  variables {
    datasets = { dicom = { project = "Other Project" } }
  }

  expect_failures = [var.datasets]
}

run "a_dataset_is_in_a_location_that_is_one" {
  command = plan

  variables {
    datasets = { dicom = { create = true, location = "Europe" } }
  }

  expect_failures = [var.datasets]
}

run "another_projects_dataset_is_not_created" {
  command = plan

  variables {
    datasets = { dicom = { create = true, project = "other-project" } }
  }

  expect_failures = [var.datasets]
}

run "a_dataset_that_exists_is_where_it_is" {
  command = plan

  variables {
    datasets = { dicom = { location = "EU" } }
  }

  expect_failures = [var.datasets]
}

run "a_dataset_is_there_once" {
  command = plan

  variables {
    datasets = { dicom = {}, again = { dataset_id = "dicom" } }
  }

  expect_failures = [var.datasets]
}

run "a_table_is_named_with_project_and_dataset" {
  command = plan

  variables {
    failures_table = "dicom.failures"
  }

  expect_failures = [var.failures_table]
}

run "the_table_of_failures_is_in_a_dataset_with_access" {
  command = plan

  variables {
    failures_table = "bq://my-project.elsewhere.failures"
  }

  expect_failures = [var.failures_table]
}

run "a_name_leaves_room_for_service_accounts" {
  command = plan

  variables {
    name = "dicom-export"
  }

  expect_failures = [var.name]
}

run "a_name_begins_with_a_letter" {
  command = plan

  variables {
    name = "1dicom"
  }

  expect_failures = [var.name]
}

run "a_topic_does_not_begin_with_goog" {
  command = plan

  variables {
    topic_prefix = "google-"
  }

  expect_failures = [var.topic_prefix]
}

run "a_topic_begins_with_a_letter" {
  command = plan

  variables {
    topic_prefix = "-x"
  }

  expect_failures = [var.topic_prefix]
}

run "a_limit_is_a_whole_number" {
  command = plan

  variables {
    limits = { readers = 1.5 }
  }

  expect_failures = [var.limits]
}

run "a_message_has_an_end" {
  command = plan

  variables {
    limits = { split = 6000 }
  }

  expect_failures = [var.limits]
}

run "a_bundle_is_no_more_than_a_split" {
  command = plan

  variables {
    limits = { split = 500 }
  }

  expect_failures = [var.limits]
}

run "a_page_has_an_end" {
  command = plan

  variables {
    limits = { page_tasks = 101 }
  }

  expect_failures = [var.limits]
}

run "a_sample_is_no_more_than_a_page" {
  command = plan

  variables {
    limits = { sample = 20001 }
  }

  expect_failures = [var.limits]
}

run "readers_have_an_end" {
  command = plan

  variables {
    limits = { readers = 65 }
  }

  expect_failures = [var.limits]
}

run "a_size_is_of_a_function" {
  command = plan

  variables {
    sizes = { export_series = { memory = "1Gi" } }
  }

  expect_failures = [var.sizes]
}

run "memory_has_a_unit" {
  command = plan

  variables {
    sizes = { export_study = { memory = "1024" } }
  }

  expect_failures = [var.sizes]
}

run "a_function_has_a_whole_cpu" {
  command = plan

  variables {
    sizes = { export_study = { cpu = "0.5" } }
  }

  expect_failures = [var.sizes]
}

run "a_function_has_an_instance" {
  command = plan

  variables {
    sizes = { export_study = { max_instances = 0 } }
  }

  expect_failures = [var.sizes]
}

run "the_least_is_no_more_than_the_most" {
  command = plan

  variables {
    sizes = { export_api = { min_instances = 3, max_instances = 2 } }
  }

  expect_failures = [var.sizes]
}

run "changes_are_applied_once_a_day_at_least" {
  command = plan

  variables {
    max_staleness_hours = 25
  }

  expect_failures = [var.max_staleness_hours]
}

run "attempts_are_as_many_as_pubsub_takes" {
  command = plan

  variables {
    max_delivery_attempts = 4
  }

  expect_failures = [var.max_delivery_attempts]
}

run "attempts_end_before_a_stream_expires" {
  command = plan

  variables {
    max_delivery_attempts = 13
  }

  expect_failures = [var.max_delivery_attempts]
}

run "state_outlives_its_operation" {
  command = plan

  variables {
    state_retention_days = 1
  }

  expect_failures = [var.state_retention_days]
}

run "everybody_may_not_call_the_api" {
  command = plan

  variables {
    api_callers = ["allUsers"]
  }

  expect_failures = [var.api_callers]
}

run "a_caller_is_an_iam_member" {
  command = plan

  variables {
    api_callers = ["jane@example.com"]
  }

  expect_failures = [var.api_callers]
}

run "a_member_of_a_workforce_pool_may_not_call" {
  command = plan

  variables {
    api_callers = ["principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/jane"]
  }

  expect_failures = [var.api_callers]
}

run "a_workload_identity_pool_may_not_call" {
  command = plan

  variables {
    api_callers = ["principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/ci/*"]
  }

  expect_failures = [var.api_callers]
}

run "everybody_may_not_request" {
  command = plan

  variables {
    requesters = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.requesters]
}

run "ingress_is_one_of_three" {
  command = plan

  variables {
    api_ingress = "ALL"
  }

  expect_failures = [var.api_ingress]
}

run "everybody_is_no_operator" {
  command = plan

  variables {
    operators = ["allUsers"]
  }

  expect_failures = [var.operators]
}

run "the_store_of_the_smoke_test_has_a_name_of_its_own" {
  command = plan

  variables {
    stores           = { smoke-test = { bucket = "my-dicom" } }
    smoke_test_store = true
  }

  expect_failures = [var.smoke_test_store]
}

run "a_connector_is_named_in_full" {
  command = plan

  variables {
    vpc_connector = "my-connector"
  }

  expect_failures = [var.vpc_connector]
}

run "a_key_is_named_in_full" {
  command = plan

  variables {
    kms_key = "my-key"
  }

  expect_failures = [var.kms_key]
}

run "a_key_is_in_the_region" {
  command = plan

  variables {
    kms_key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key]
}

run "a_channel_is_no_address" {
  command = plan

  variables {
    notification_channels = ["ops@example.com"]
  }

  expect_failures = [var.notification_channels]
}

run "an_old_message_is_alerted_of_before_it_is_dropped" {
  command = plan

  variables {
    alerts = { oldest_message_hours = 200 }
  }

  expect_failures = [var.alerts]
}

run "an_operation_has_time_for_an_attempt" {
  command = plan

  variables {
    alerts = { stalled_minutes = 5 }
  }

  expect_failures = [var.alerts]
}

run "errors_are_no_less_than_none" {
  command = plan

  variables {
    alerts = { errors = -1 }
  }

  expect_failures = [var.alerts]
}

run "a_label_has_no_capitals" {
  command = plan

  variables {
    labels = { Team = "radiology" }
  }

  expect_failures = [var.labels]
}

run "tables_of_a_store_are_five_at_most" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [for n in range(6) : { table = "bq://my-project.dicom.t${n}" }] } }
  }

  expect_failures = [var.stores]
}

run "a_table_is_streamed_to_once" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t" }, { table = "bq://my-project.dicom.t", schema = "json" }] } }
  }

  expect_failures = [var.stores]
}

run "a_table_that_is_streamed_to_is_in_a_dataset_with_access" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.elsewhere.t" }] } }
  }

  expect_failures = [var.stores]
}

run "a_schema_is_one_that_there_is" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t", schema = "parquet" }] } }
  }

  expect_failures = [var.stores]
}

run "changes_are_tracked_by_the_json_schema" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t", tracks_changes = true }] } }
  }

  expect_failures = [var.stores]
}

run "partitions_are_days_months_or_years" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t", last_updated_partition_config = { type = "HOUR" } }] } }
  }

  expect_failures = [var.stores]
}

run "partitions_expire_after_some_time" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t", last_updated_partition_config = { type = "DAY", expiration_ms = 0 } }] } }
  }

  expect_failures = [var.stores]
}

run "partitions_are_not_of_a_table_that_tracks_changes" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_configs = [{ table = "bq://my-project.dicom.t", schema = "json", tracks_changes = true, last_updated_partition_config = { type = "DAY" } }] } }
  }

  expect_failures = [var.stores]
}

run "deletions_are_of_a_store_that_streams" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", stream_deletes = true } }
  }

  expect_failures = [var.stores]
}

run "a_buckets_project_is_an_id" {
  command = plan

  variables {
    stores = { a = { bucket = "my-dicom", project = "My Project" } }
  }

  expect_failures = [var.stores]
}
