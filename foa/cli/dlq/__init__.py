"""What waits or was given up: tasks nobody has accepted yet, and the letters of those that failed."""
