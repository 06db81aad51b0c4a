output "project" {
  description = "Project of the installation."
  value       = var.project
}

output "region" {
  description = "Region of the functions."
  value       = var.region
}

output "api_url" {
  description = "Where the API is; only members of `api_callers` may call it."
  value       = google_cloudfunctions2_function.functions["export_api"].service_config[0].uri
}

output "api_service" {
  description = "Name of the API's Cloud Run service, for `gcloud run services proxy`."
  value       = google_cloudfunctions2_function.functions["export_api"].name
}

output "stores" {
  description = "Resource name of each store, by its id."
  value       = { for name in keys(local.declared_stores) : element(split("/", name), 7) => name if contains(keys(var.stores), element(split("/", name), 7)) }
}

output "topics" {
  description = "Resource name of each topic, by what the code calls it; batch jobs go to `export-requests`."
  value       = { for name, topic in google_pubsub_topic.topics : name => topic.id }
}

output "subscriptions" {
  description = "Resource name of the subscription of each function, and of the one that keeps lost letters."
  value = merge(
    { for entry_point, subscription in google_pubsub_subscription.push : entry_point => subscription.id },
    { (local.last_topic) = google_pubsub_subscription.lost_letters.id },
  )
}

output "service_accounts" {
  description = "E-mail address of each function's service account; an owner of another project's dataset or bucket may have to name them."
  value       = { for entry_point, account in google_service_account.functions : entry_point => account.email }
}

output "state_bucket" {
  description = "Bucket with the state of the operations."
  value       = google_storage_bucket.state.name
}

output "datasets" {
  description = "Datasets that exports may write to, as PROJECT.DATASET."
  value       = { for key, dataset in local.datasets : key => "${dataset.project}.${dataset.id}" if contains(keys(var.datasets), key) }
}

output "staging_datasets" {
  description = "Dataset, as PROJECT.DATASET, for the rows of overwrites that have not ended, by the key of the dataset that they will be in."
  value       = { for key, dataset in google_bigquery_dataset.staging : key => "${dataset.project}.${dataset.dataset_id}" if contains(keys(var.datasets), key) }
}

output "environment" {
  description = "Environment variables with which the command line (`dicom-export operations`, `dead-letters`, `doctor`, `smoke-test`) is about this installation."
  value       = merge(local.environment, { DICOM_EXPORT_INSTALLATION = jsonencode(local.installation) })
}

output "source_object" {
  description = "Object that the functions are built from; its name has the content's hash."
  value       = google_storage_bucket_object.source.name
}
