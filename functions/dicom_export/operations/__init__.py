"""An operation and its parts: the request, the filter, the plan, the counters, the outcome."""
