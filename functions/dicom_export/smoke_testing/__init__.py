"""The test of a deployed installation with synthetic instances, and the questions that only a real project answers."""
