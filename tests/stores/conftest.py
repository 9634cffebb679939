"""The fixtures of these tests are those of all tests by now, in tests/conftest.py."""
