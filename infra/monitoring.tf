# What is seen of the installation: metrics of its log entries, a dashboard, alerts.
#
# The entries are those of functions/dicom_export/logs.py. Operations are labels, patients never are: a metric has counts, names of
# operations and names of functions.

locals {
  services       = join("|", [for function in values(local.functions) : function.name])
  subscriptions  = join("|", [for subscription in concat(values(google_pubsub_subscription.push), [google_pubsub_subscription.lost_letters]) : subscription.name])
  lost_letters   = google_pubsub_subscription.lost_letters.name
  metric_prefix  = replace(var.name, "-", "_")
  of_our_log     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^(${local.services})$\""
  of_services    = "monitored_resource=\"cloud_run_revision\",service_name=~\"${local.services}\""
  of_instance    = "type.googleapis.com/google.cloud.healthcare.logging.ExportDicomLogEntry"
  of_stream      = "type.googleapis.com/google.cloud.healthcare.logging.DicomStreamLogEntry"
  outcomes       = toset(["success", "failure", "skipped", "cancelled"])
  operation_name = "logging_googleapis_com:user_${google_logging_metric.operations.name}"
  error_name     = "logging_googleapis_com:user_${google_logging_metric.errors.name}"
}

resource "google_logging_metric" "operations" {
  project     = var.project
  name        = "${local.metric_prefix}_operations"
  description = "Events of operations: created, progressed, ended."
  filter      = "${local.of_our_log} AND jsonPayload.event=(\"created\" OR \"progressed\" OR \"ended\")"

  label_extractors = {
    event     = "EXTRACT(jsonPayload.event)"
    operation = "EXTRACT(labels.operation)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "event"
      description = "created, progressed or ended"
    }
    labels {
      key         = "operation"
      description = "Resource name of the operation"
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_logging_metric" "instances" {
  for_each = local.outcomes

  project         = var.project
  name            = "${local.metric_prefix}_instances_${each.key}"
  description     = "Instances of a message by what became of them: ${each.key}. Its sum is the number of instances."
  filter          = "${local.of_our_log} AND jsonPayload.event=\"progressed\" AND jsonPayload.instances.${each.key}>0"
  value_extractor = "EXTRACT(jsonPayload.instances.${each.key})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    explicit_buckets {
      bounds = [1, 10, 100, 1000, 5000]
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_logging_metric" "errors" {
  project     = var.project
  name        = "${local.metric_prefix}_errors"
  description = "Errors of the functions, without those of single instances, which are the data's."
  filter      = "${local.of_our_log} AND severity>=ERROR AND NOT jsonPayload.\"@type\"=(\"${local.of_instance}\" OR \"${local.of_stream}\")"

  label_extractors = {
    function = "EXTRACT(resource.labels.service_name)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "function"
      description = "Name of the function"
    }
  }

  depends_on = [time_sleep.apis]
}
resource "google_logging_metric" "stream_failures" {
  project     = var.project
  name        = "${local.metric_prefix}_stream_failures"
  description = "Uploads and deletions that make no row in a table of the automatic export."
  filter      = "${local.of_our_log} AND jsonPayload.\"@type\"=\"${local.of_stream}\""

  label_extractors = {
    table = "EXTRACT(jsonPayload.destination)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "table"
      description = "Table that has no row of the instance"
    }
  }

  depends_on = [time_sleep.apis]
}

locals {
  alerts = {
    dead_letters = {
      title    = "a message is a dead letter"
      severity = "ERROR"
      query    = "sum by (subscription_id) (increase(pubsub_googleapis_com:subscription_dead_letter_message_count{subscription_id=~\"${local.subscriptions}\"}[10m])) > 0"
      wait     = "0s"
      advice   = "The operation counts its instances as failed. The log of ${var.name}-record-dead-letter or ${var.name}-refuse-export names it and its operation; `dicom-export dead-letters replay OPERATION` exports it after all."
    }
    lost_letters = {
      title    = "a dead letter could not be recorded"
      severity = "CRITICAL"
      query    = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id=\"${local.lost_letters}\"}) > 0"
      wait     = "0s"
      advice   = "It waits in the subscription ${local.lost_letters} for 31 days. Mend what the log of ${var.name}-record-dead-letter or ${var.name}-refuse-export says, publish the message, with its attributes, on the topic that it came from, and acknowledge it."
    }
    old_message = {
      title    = "a message is unacknowledged for more than ${var.alerts.oldest_message_hours} hours"
      severity = "WARNING"
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{subscription_id=~\"${local.subscriptions}\",subscription_id!=\"${local.lost_letters}\"}) > ${var.alerts.oldest_message_hours * 3600}"
      wait     = "300s"
      advice   = "A large export may simply have as much to do: see whether instances per minute go on. Else the function of that subscription does not run, or cannot be called."
    }
    failing_functions = {
      title    = "functions fail"
      severity = "ERROR"
      query = join(" or ", [
        "sum by (function) (increase(${local.error_name}{monitored_resource=\"cloud_run_revision\"}[10m])) > ${var.alerts.errors}",
        # 503 is a message that comes again, and 429 one that waits for a free instance.
        "sum by (service_name) (increase(run_googleapis_com:request_count{${local.of_services},response_code_class=\"5xx\",response_code!=\"503\"}[10m])) > ${var.alerts.errors}",
      ])
      wait   = "0s"
      advice = "The function's log says of what."
    }
    stalled_operation = {
      title    = "an operation made no progress for ${var.alerts.stalled_minutes} minutes"
      severity = "ERROR"
      # It did something within a day, has not ended, and did nothing lately.
      query = join(" unless ", [
        "sum by (operation) (increase(${local.operation_name}{monitored_resource=\"cloud_run_revision\"}[24h])) > 0",
        "sum by (operation) (increase(${local.operation_name}{monitored_resource=\"cloud_run_revision\",event=\"ended\"}[24h])) > 0",
        "sum by (operation) (increase(${local.operation_name}{monitored_resource=\"cloud_run_revision\"}[${var.alerts.stalled_minutes}m])) > 0",
      ])
      wait   = "0s"
      advice = "See whether its messages wait (the oldest unacknowledged message), and what the log says of it. Cancelling the operation plans its last page again, and ends it."
    }
  }
}

resource "google_monitoring_alert_policy" "alerts" {
  for_each = local.alerts

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.wait
      evaluation_interval = "60s"
      # A metric of log entries is not known before the first entry.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.advice
  }

  depends_on = [time_sleep.apis]
}

locals {
  charts = [
    {
      title   = "Operations per hour, by event"
      queries = { "{{event}}" = "sum by (event) (increase(${local.operation_name}{monitored_resource=\"cloud_run_revision\",event!=\"progressed\"}[1h]))" }
    },
    {
      title = "Instances per minute, by outcome"
      queries = { for outcome, metric in google_logging_metric.instances :
        outcome => "sum(rate(logging_googleapis_com:user_${metric.name}_sum{monitored_resource=\"cloud_run_revision\"}[5m])) * 60"
      }
    },
    {
      title   = "Uploads without a row per hour, by table"
      queries = { "{{table}}" = "sum by (table) (increase(logging_googleapis_com:user_${google_logging_metric.stream_failures.name}{monitored_resource=\"cloud_run_revision\"}[1h]))" }
    },
    {
      title   = "Oldest unacknowledged message, seconds"
      queries = { "{{subscription_id}}" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{subscription_id=~\"${local.subscriptions}\"})" }
    },
    {
      title   = "Messages waiting"
      queries = { "{{subscription_id}}" = "max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{subscription_id=~\"${local.subscriptions}\"})" }
    },
    {
      title   = "Dead letters per hour"
      queries = { "{{subscription_id}}" = "sum by (subscription_id) (increase(pubsub_googleapis_com:subscription_dead_letter_message_count{subscription_id=~\"${local.subscriptions}\"}[1h]))" }
    },
    {
      title   = "Latency, 95th percentile, milliseconds"
      queries = { "{{service_name}}" = "histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{${local.of_services}}[5m])))" }
    },
    {
      title   = "Answers per minute that are no success"
      queries = { "{{service_name}} {{response_code}}" = "sum by (service_name, response_code) (rate(run_googleapis_com:request_count{${local.of_services},response_code_class!=\"2xx\"}[5m])) * 60" }
    },
    {
      title   = "Errors in the log per hour"
      queries = { "{{function}}" = "sum by (function) (increase(${local.error_name}{monitored_resource=\"cloud_run_revision\"}[1h]))" }
    },
    {
      title   = "Cost: billable seconds of instances per hour"
      queries = { "{{service_name}}" = "sum by (service_name) (increase(run_googleapis_com:container_billable_instance_time{${local.of_services}}[1h]))" }
    },
    {
      title   = "Cost: Cloud Storage requests per hour"
      queries = { "{{bucket_name}} {{method}}" = "sum by (bucket_name, method) (increase(storage_googleapis_com:api_request_count{monitored_resource=\"gcs_bucket\",bucket_name=~\"${join("|", concat([local.state_bucket], sort(local.store_buckets)))}\"}[1h]))" }
    },
    {
      title   = "Cost: bytes written to BigQuery per hour"
      queries = { "{{dataset_id}}" = "sum by (dataset_id) (increase(bigquerystorage_googleapis_com:write_uploaded_bytes_count[1h]))" }
    },
    {
      title   = "Instances of the functions"
      queries = { "{{service_name}}" = "sum by (service_name) (run_googleapis_com:container_instance_count{${local.of_services},state=\"active\"})" }
    },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "dicom-export: ${var.name}"
    mosaicLayout = {
      columns = 48
      tiles = [for position, chart in local.charts : {
        xPos   = position % 2 * 24
        yPos   = floor(position / 2) * 16
        width  = 24
        height = 16
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [for legend, query in chart.queries : {
              plotType        = "LINE"
              targetAxis      = "Y1"
              legendTemplate  = legend
              timeSeriesQuery = { prometheusQuery = query }
            }]
            yAxis = { scale = "LINEAR" }
          }
        }
      }]
    }
  })

  depends_on = [time_sleep.apis]
}
