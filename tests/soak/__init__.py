"""What takes longer than tests may: `make soak` runs it, and `tests/test_soak.py` a little of it. Each module prints its figures."""
