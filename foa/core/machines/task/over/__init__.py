"""What is left of a task that is over: what is said again and to whom, and the letter of one that was given up."""
