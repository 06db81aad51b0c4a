"""Steps of an export that its handlers, the API and the command line share."""
