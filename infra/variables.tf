variable "project" {
  description = "Id of the project that everything is installed in, and that runs the BigQuery jobs."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is \"${var.project}\"; expected a project's id (not its name or number), like my-project."
  }
}

variable "region" {
  description = "Region of the functions and buckets, best that of the stores' buckets: reading across regions costs money and time. Some projects may build functions only in some regions: docs/how-to/deploy.md names them."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is \"${var.region}\"; expected one region like us-central1 or europe-west4, not a multi-region like US, and not a zone."
  }
}

variable "stores" {
  description = <<-EOT
    DICOM stores, by their id. The store's resource name is projects/PROJECT/locations/LOCATION/datasets/DATASET/dicomStores/ID, where
    `location` is the region and `dataset` is `dicom` if they are not set. `bucket` is an existing bucket, of any project, `prefix` what the
    names of the store's objects begin with, `ignore` patterns of names, after the prefix, that are not instances. Without `views`, exports define no views next to their tables; with `archives` they read members of ZIP and tar archives. `stream_configs` are the tables
    to which new objects are exported as they appear: `table` as bq://PROJECT.DATASET.TABLE, `schema` flattened or json, with `tracks_changes` (json only) the latest row per
    instance; `include_source_store` and `include_source_object` add the columns that name the store and the object of each row;
    `last_updated_partition_config` partitions a new table by LastUpdated, per DAY, MONTH or YEAR, and deletes each partition after `expiration_ms` milliseconds. With `stream_deletes`, deletions make rows too; then `project` is the project of the bucket, by default that of the installation.
    `allow_cold_reads` lets exports read objects in cold storage classes, which costs more. `user_project` pays for the requests to the bucket if its
    requester pays.
  EOT
  type = map(object({
    bucket   = string
    prefix   = optional(string, "")
    ignore   = optional(list(string), [])
    views    = optional(bool, true)
    archives = optional(bool, false)
    location = optional(string)
    dataset  = optional(string, "dicom")

    stream_configs = optional(list(object({
      table                 = string
      schema                = optional(string, "flattened")
      include_source_store  = optional(bool, false)
      include_source_object = optional(bool, false)
      tracks_changes        = optional(bool, false)

      last_updated_partition_config = optional(object({
        type          = string
        expiration_ms = optional(number)
      }))
    })), [])
    stream_deletes = optional(bool, false)
    project        = optional(string)

    allow_cold_reads = optional(bool, false)
    user_project     = optional(string)
  }))

  validation {
    condition     = length(var.stores) > 0
    error_message = "stores is empty; expected at least one store, like { archive = { bucket = \"my-bucket\" } }."
  }
  validation {
    condition     = alltrue([for id in keys(var.stores) : can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$", id))])
    error_message = "stores has an id like \"${try([for id in keys(var.stores) : id if !can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$", id))][0], "")}\"; expected 1 to 200 letters, digits and _.- that begin with a letter or digit."
  }
  validation {
    condition = alltrue([
      for store in values(var.stores) : can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$", store.dataset))
    ])
    error_message = "The dataset of a store is part of its resource name; expected 1 to 200 letters, digits and _.- that begin with a letter or digit."
  }
  validation {
    condition = alltrue([
      for store in values(var.stores) : store.location == null || can(regex("^[a-z0-9][a-z0-9-]{0,62}$", store.location))
    ])
    error_message = "The location of a store is part of its resource name; expected lower-case letters, digits and dashes, like us-central1."
  }
  validation {
    condition = alltrue([
      for store in values(var.stores) : length(store.bucket) >= 3 && length(store.bucket) <= 222 && alltrue([
        for part in split(".", store.bucket) : can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", part))
      ])
    ])
    error_message = "The bucket of a store is its bare name without gs://; expected 3 or more lower-case letters, digits and -_. that begin and end with a letter or digit."
  }
  validation {
    condition = alltrue([
      for store in values(var.stores) : !startswith(store.prefix, "/") && (store.prefix == "" || endswith(store.prefix, "/"))
    ])
    error_message = "A prefix in stores is invalid; expected an empty one, or one that ends with a slash and does not begin with one, like dicom/ or archive/2024/."
  }
  validation {
    condition = alltrue([
      for store in values(var.stores) : alltrue([for pattern in store.ignore : pattern != ""])
    ])
    error_message = "A pattern that a store ignores is empty; expected like *.txt."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : length(store.stream_configs) <= 5 && length(distinct(store.stream_configs[*].table)) == length(store.stream_configs)])
    error_message = "stream_configs of a store is invalid; expected at most 5 tables, each once."
  }
  validation {
    condition = alltrue(flatten([
      for store in values(var.stores) : [
        for table in store.stream_configs[*].table : can(regex("^bq://([a-z0-9.-]+:)?[A-Za-z0-9_-]+[.][A-Za-z0-9_]+[.][A-Za-z0-9_ -]+$", table)) && anytrue([
          for key, dataset in var.datasets : startswith(table, "bq://${coalesce(dataset.project, var.project)}.${coalesce(dataset.dataset_id, key)}.")
        ])
      ]
    ]))
    error_message = "A table in stream_configs is invalid; expected bq://PROJECT.DATASET.TABLE in one of datasets, so that the installation may write to it."
  }
  validation {
    condition = alltrue(flatten([
      for store in values(var.stores) : [
        for config in store.stream_configs : config.schema == "json" || (config.schema == "flattened" && !config.tracks_changes)
      ]
    ]))
    error_message = "A stream config is invalid; expected the schema flattened or json, and tracks_changes with json only."
  }
  validation {
    condition = alltrue(flatten([
      for store in values(var.stores) : [
        for config in store.stream_configs : config.last_updated_partition_config == null || try(
          !config.tracks_changes && contains(["DAY", "MONTH", "YEAR"], config.last_updated_partition_config.type) &&
          coalesce(config.last_updated_partition_config.expiration_ms, 1) >= 1 &&
          floor(coalesce(config.last_updated_partition_config.expiration_ms, 1)) == coalesce(config.last_updated_partition_config.expiration_ms, 1),
          false
        )
      ]
    ]))
    error_message = "A last_updated_partition_config is invalid; expected the type DAY, MONTH or YEAR, an expiration_ms of at least 1, if any, and no tracks_changes in the same stream config."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : !store.stream_deletes || length(store.stream_configs) > 0])
    error_message = "stream_deletes is for a store with stream_configs."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : store.project == null || can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", store.project))])
    error_message = "A project in stores is invalid; expected the id of the bucket's project, like my-project."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : store.user_project == null || can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", store.user_project))])
    error_message = "Invalid user_project of a store: expected the id of the project that pays for requests to its bucket, like my-project."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : alltrue([for other in values(var.stores) : store.bucket != other.bucket || store.user_project == other.user_project])])
    error_message = "Stores in one bucket have different user_project; expected the same."
  }
  validation {
    condition = alltrue(flatten([
      for id, store in var.stores : [
        for other_id, other in var.stores :
        id == other_id || store.bucket != other.bucket || !(startswith(store.prefix, other.prefix) || startswith(other.prefix, store.prefix))
      ]
    ]))
    error_message = "Two stores overlap: in one bucket, no store's prefix may begin with another's. Give them prefixes like ct/ and mr/, or make them one store."
  }
  validation {
    condition     = alltrue([for store in values(var.stores) : store.bucket != local.state_bucket && store.bucket != local.source_bucket])
    error_message = "A store is in a bucket of the installation itself (${local.state_bucket}, ${local.source_bucket}); expected in a bucket of its own."
  }
}

variable "filter_buckets" {
  description = "Existing buckets with filter files that requests may name, besides the buckets of the stores."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.filter_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", bucket))])
    error_message = "A name in filter_buckets is invalid; expected one without gs://: 3 or more lower-case letters, digits and -_. that begin and end with a letter or digit."
  }
}

variable "destination_buckets" {
  description = "Existing buckets to which requests may export files. Nothing in them is replaced or deleted."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.destination_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", bucket))])
    error_message = "Invalid name in destination_buckets: expected names without gs://, of 3 or more lower-case letters, digits and -_. that begin and end with a letter or digit."
  }
  validation {
    condition     = alltrue([for bucket in var.destination_buckets : bucket != local.state_bucket && bucket != local.source_bucket])
    error_message = "A destination is a bucket of the installation itself (${local.state_bucket}, ${local.source_bucket}); expected a bucket of its own."
  }
}

variable "datasets" {
  description = <<-EOT
    BigQuery datasets that exports may write to, by their id. With `create` the installation makes the dataset in its own project, in `location`
    (the region if not set), and leaves it where it is when it is destroyed itself; without, the dataset exists, in `project` (the installation's if not set), and only
    gets access. `dataset_id` is for two projects' datasets of one id: then the key is any name.
  EOT
  type = map(object({
    create     = optional(bool, false)
    project    = optional(string)
    location   = optional(string)
    dataset_id = optional(string)
  }))
  default = { dicom = { create = true } }

  validation {
    condition     = length(var.datasets) > 0
    error_message = "datasets is empty; expected at least one dataset that exports can write to, like { dicom = { create = true } }."
  }
  validation {
    condition = alltrue([
      for key, dataset in var.datasets : can(regex("^[A-Za-z0-9_]+$", coalesce(dataset.dataset_id, key))) && length(coalesce(dataset.dataset_id, key)) <= 1024
    ])
    error_message = "A key of datasets is invalid; expected letters, digits and underscores, without the project, which is the field project of the dataset."
  }
  validation {
    condition = alltrue([
      for dataset in values(var.datasets) : dataset.project == null || can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", dataset.project))
    ])
    error_message = "A project in datasets is invalid; expected a project's id, like my-project."
  }
  validation {
    condition = alltrue([
      for dataset in values(var.datasets) : dataset.location == null || can(regex("^(US|EU|[a-z]+-[a-z]+[0-9]+)$", dataset.location))
    ])
    error_message = "A location in datasets is invalid; expected US, EU or a region like us-central1."
  }
  validation {
    condition = alltrue([
      for dataset in values(var.datasets) : !dataset.create || coalesce(dataset.project, var.project) == var.project
    ])
    error_message = "A dataset of another project is not created here: create it there, and leave create out."
  }
  validation {
    condition     = alltrue([for dataset in values(var.datasets) : dataset.create || dataset.location == null])
    error_message = "A dataset that exists has its location: leave location out, or set create."
  }
  validation {
    condition = length(var.datasets) == length(distinct([
      for key, dataset in var.datasets : "${coalesce(dataset.project, var.project)}.${coalesce(dataset.dataset_id, key)}"
    ]))
    error_message = "datasets has one dataset twice; expected each once."
  }
}

variable "failures_table" {
  description = "Table for a row for each failed instance, bq://PROJECT.DATASET.TABLE in one of `datasets`; none if not set."
  type        = string
  default     = null

  validation {
    condition     = var.failures_table == null || can(regex("^bq://([a-z0-9.-]+:)?[A-Za-z0-9_-]+[.][A-Za-z0-9_]+[.][A-Za-z0-9_ -]+$", var.failures_table))
    error_message = "failures_table is \"${coalesce(var.failures_table, "-")}\"; expected bq://PROJECT.DATASET.TABLE."
  }
  validation {
    condition = var.failures_table == null || anytrue([
      for key, dataset in var.datasets :
      startswith(coalesce(var.failures_table, "-"), "bq://${coalesce(dataset.project, var.project)}.${coalesce(dataset.dataset_id, key)}.")
    ])
    error_message = "The dataset of failures_table is none of datasets; expected one of them, so that the installation may write to it."
  }
}

variable "name" {
  description = "What the names of the functions, service accounts, buckets and metrics begin with. A second installation in a project needs another one, and another `topic_prefix`."
  type        = string
  default     = "dicom"

  validation {
    # A service account's id has at most 30 characters, and the longest is NAME-record-dead-letter.
    condition     = can(regex("^[a-z]([a-z0-9-]{0,9}[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\"; expected 1 to 11 lower-case letters, digits and dashes that begin with a letter and end with a letter or digit."
  }
}

variable "topic_prefix" {
  description = "What the topics' names begin with; nothing if not set."
  type        = string
  default     = ""

  validation {
    condition     = var.topic_prefix == "" || (can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{0,200}$", var.topic_prefix)) && !startswith(var.topic_prefix, "goog"))
    error_message = "topic_prefix is \"${var.topic_prefix}\"; expected a letter and then at most 200 letters, digits and -._~+%, and not begin with goog."
  }
}

variable "limits" {
  description = "How large messages and pages get, how many headers a worker reads at once, and what one object and one table may take (max_…), as the README's tables of DICOM_EXPORT_BUNDLE to DICOM_EXPORT_READERS and of DICOM_EXPORT_MAX_ELEMENTS and so on say; what is not set is left to the code."
  type = object({
    bundle       = optional(number)
    split        = optional(number)
    page_tasks   = optional(number)
    page_objects = optional(number)
    sample       = optional(number)
    outstanding  = optional(number)
    readers      = optional(number)

    max_elements         = optional(number)
    max_values           = optional(number)
    max_header_bytes     = optional(number)
    max_inflated_bytes   = optional(number)
    max_depth            = optional(number)
    max_seconds          = optional(number)
    max_table_columns    = optional(number)
    max_instance_columns = optional(number)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.limits) : limit == null || try(limit >= 1 && floor(limit) == limit, false)])
    error_message = "Invalid limit: expected a whole number of 1 or more."
  }
  validation {
    condition     = coalesce(var.limits.split, 5000) <= 5000 && coalesce(var.limits.bundle, 1000) <= coalesce(var.limits.split, 5000)
    error_message = "Invalid limits: expected limits.split of at most 5000, and limits.bundle (1000 if not set) at most limits.split: a message names its instances, and Pub/Sub takes 10 MB."
  }
  validation {
    condition     = coalesce(var.limits.page_tasks, 100) <= 100 && coalesce(var.limits.page_objects, 20000) <= 20000
    error_message = "limits is invalid; expected page_tasks of at most 100, and page_objects of at most 20000."
  }
  validation {
    condition     = coalesce(var.limits.sample, 200) <= 20000
    error_message = "limits.sample is invalid; expected at most 20000, the objects of a page."
  }
  validation {
    condition     = coalesce(var.limits.readers, 16) <= 64
    error_message = "limits.readers is invalid; expected at most 64."
  }
}

variable "sizes" {
  description = "What of a function is other than functions.tf says, by its entry point: memory (like 2Gi), cpu (1, 2, 4, 6 or 8), concurrency, max_instances, min_instances."
  type = map(object({
    memory        = optional(string)
    cpu           = optional(string)
    concurrency   = optional(number)
    max_instances = optional(number)
    min_instances = optional(number)
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.sizes) : contains(keys(local.entry_points), name)])
    error_message = "A key of sizes is not a function of the installation; expected one of ${join(", ", keys(local.entry_points))}."
  }
  validation {
    condition     = alltrue([for size in values(var.sizes) : size.memory == null || can(regex("^[1-9][0-9]*(Mi|Gi)$", size.memory))])
    error_message = "A memory in sizes is invalid; expected a value like 512Mi or 2Gi."
  }
  validation {
    condition     = alltrue([for size in values(var.sizes) : size.cpu == null || contains(["1", "2", "4", "6", "8"], coalesce(size.cpu, "1"))])
    error_message = "A cpu in sizes is invalid; expected 1, 2, 4, 6 or 8: with less than one, a function takes one request at a time."
  }
  validation {
    condition = alltrue(flatten([
      for size in values(var.sizes) : [
        coalesce(size.concurrency, 1) >= 1, coalesce(size.concurrency, 1) <= 1000,
        coalesce(size.max_instances, 1) >= 1, coalesce(size.max_instances, 1) <= 1000,
        coalesce(size.min_instances, 1) >= 0, coalesce(size.min_instances, 1) <= coalesce(size.max_instances, 1000),
      ]
    ]))
    error_message = "A number in sizes is invalid; expected concurrency and max_instances from 1 to 1000, and min_instances from 0 to max_instances."
  }
}

variable "max_staleness_hours" {
  description = "How far a new table with tracks_changes may lag behind its changes. BigQuery reads the whole table at least once in that time to apply them; a shorter time costs more. A table that exists keeps its own."
  type        = number
  default     = 4

  validation {
    condition     = var.max_staleness_hours >= 1 && var.max_staleness_hours <= 24 && floor(var.max_staleness_hours) == var.max_staleness_hours
    error_message = "max_staleness_hours is ${var.max_staleness_hours}; expected a whole number from 1 to 24."
  }
}

variable "max_delivery_attempts" {
  description = "How often a message is delivered until it is a dead letter. In the worst case each attempt takes the 600 s of the acknowledgement deadline and is followed by the back-off, so 10 take 2.3 hours and 12 take 3.0: a finalized stream has to be committed within 4."
  type        = number
  default     = 10

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 12 && floor(var.max_delivery_attempts) == var.max_delivery_attempts
    error_message = "max_delivery_attempts is ${var.max_delivery_attempts}; expected from 5, which is Pub/Sub's least, to 12, after which a stream that waits to be committed may have expired."
  }
}

variable "state_retention_days" {
  description = "Days after which the state of an operation is deleted, and with it what the API, the failure report and a replay of dead letters know of it."
  type        = number
  default     = 90

  validation {
    condition     = var.state_retention_days >= 14 && var.state_retention_days <= 3650 && floor(var.state_retention_days) == var.state_retention_days
    error_message = "state_retention_days is ${var.state_retention_days}; expected from 14 to 3650: an operation that runs must not lose its state."
  }
}

variable "api_callers" {
  description = "Who may call the API, as IAM members like group:radiology@example.com; [] is nobody, where exports are requested on the topic export-requests only. They see all stores and may export to all datasets."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for member in var.api_callers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", member))])
    error_message = "api_callers has to be IAM members like group:radiology@example.com or user:jane@example.com; allUsers and allAuthenticatedUsers are refused."
  }
  # https://cloud.google.com/iam/docs/federated-identity-supported-services
  validation {
    condition     = alltrue([for member in var.api_callers : !can(regex("^principal(Set)?:", member))])
    error_message = "api_callers has ${join(", ", [for member in var.api_callers : member if can(regex("^principal(Set)?:", member))])}, but Cloud Run lets no member of a workforce or workload identity pool call a service. Name a service account here, like serviceAccount:caller@my-project.iam.gserviceaccount.com, and let the member impersonate it (roles/iam.serviceAccountTokenCreator on that account)."
  }
}

variable "requesters" {
  description = "Who may publish batch jobs on the topic export-requests, as IAM members; nobody but the project's own publishers if not set."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.requesters : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", member))])
    error_message = "requesters has an invalid member; expected IAM members like serviceAccount:nightly@my-project.iam.gserviceaccount.com, without allUsers and allAuthenticatedUsers."
  }
}

variable "operators" {
  description = "Who may run `dicom-export doctor`, `operations` and `dead-letters`, and with `smoke_test_store` also `smoke-test`, as IAM members; nobody but the project's owners if not set. To call the API they have to be in `api_callers` as well."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", member))])
    error_message = "Invalid operators: expected IAM members like group:radiology@example.com; allUsers and allAuthenticatedUsers are refused."
  }
}

variable "smoke_test_store" {
  description = "Whether to create a bucket, a store and a dataset for `dicom-export smoke-test`. They cost nothing while no test runs, and are destroyed with all that is in them when this is set to false."
  type        = bool
  default     = false

  validation {
    condition     = !var.smoke_test_store || (!contains(keys(var.stores), "smoke-test") && !contains(keys(var.datasets), "${replace(var.name, "-", "_")}_smoke_test"))
    error_message = "smoke_test_store creates the store smoke-test and the dataset ${replace(var.name, "-", "_")}_smoke_test, and stores or datasets has one of them: rename it, or set smoke_test_store to false."
  }
}

variable "api_ingress" {
  description = "Where requests to the API may come from: ALLOW_ALL (whoever may call it, from anywhere), ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB. The other functions take requests of Pub/Sub only."
  type        = string
  default     = "ALLOW_ALL"

  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"], var.api_ingress)
    error_message = "api_ingress is \"${var.api_ingress}\"; expected ALLOW_ALL, ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB."
  }
}

variable "vpc_connector" {
  description = "Serverless VPC Access connector for what the functions send to private addresses, projects/P/locations/REGION/connectors/NAME; none if not set."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_connector == null || can(regex("^projects/[^/]+/locations/[^/]+/connectors/[a-z][a-z0-9-]{0,24}$", var.vpc_connector))
    error_message = "vpc_connector is \"${coalesce(var.vpc_connector, "-")}\"; expected projects/PROJECT/locations/REGION/connectors/NAME."
  }
}

variable "kms_key" {
  description = "Customer-managed key, projects/P/locations/REGION/keyRings/RING/cryptoKeys/KEY, for buckets, topics, images, functions and the datasets that are created; Google's keys if not set."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is \"${coalesce(var.kms_key, "-")}\"; expected projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY, without a version."
  }
  validation {
    condition     = var.kms_key == null || try(split("/", var.kms_key)[3] == var.region, true)
    error_message = "kms_key has to be in the region of the installation, ${var.region}."
  }
}

variable "notification_channels" {
  description = "Where alerts go, projects/P/notificationChannels/NUMBER; without, they only show in the console."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels is invalid; expected resource names like projects/my-project/notificationChannels/1234567890 (`gcloud beta monitoring channels list`), not addresses."
  }
}

variable "alerts" {
  description = "When alerts fire: a message is unacknowledged for more than `oldest_message_hours`; an operation made no progress for `stalled_minutes`; more than `errors` errors of the functions in 10 minutes."
  type = object({
    oldest_message_hours = optional(number, 4)
    stalled_minutes      = optional(number, 60)
    errors               = optional(number, 5)
  })
  default = {}

  validation {
    condition     = var.alerts.oldest_message_hours > 0 && var.alerts.oldest_message_hours < 168
    error_message = "alerts.oldest_message_hours is ${var.alerts.oldest_message_hours}; expected more than 0 and less than 168, after which a subscription drops the message."
  }
  validation {
    condition     = var.alerts.stalled_minutes >= 30 && var.alerts.stalled_minutes <= 720
    error_message = "alerts.stalled_minutes is ${var.alerts.stalled_minutes}; expected from 30 to 720: a message may take 10 minutes and wait as long for its next attempt."
  }
  validation {
    condition     = var.alerts.errors >= 0
    error_message = "alerts.errors is ${var.alerts.errors}; expected 0 or more."
  }
}

variable "labels" {
  description = "Labels of all resources that take some."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels is invalid; expected keys that begin with a lower-case letter, and keys and values of at most 63 lower-case letters, digits, dashes and underscores."
  }
}

variable "enable_apis" {
  description = "Whether to enable the APIs that the installation uses; they stay enabled when it is destroyed."
  type        = bool
  default     = true
}
