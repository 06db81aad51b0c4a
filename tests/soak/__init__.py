"""What takes longer than tests may: `make soak` runs it, and `tests/end_to_end/test_soak.py` a little of it. Each module prints its figures."""
