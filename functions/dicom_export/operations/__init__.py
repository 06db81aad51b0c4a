"""An operation and what it is made of: the request, the filter, the plan, the counters, the outcome."""
