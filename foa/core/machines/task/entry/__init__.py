"""What comes before a task is taken on."""
