"""Measurements of the running system, on files of the reader's own choosing where there are any; never timed tests."""
