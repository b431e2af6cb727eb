"""What is left of a task that is over: whom its result is told, and the letter of one that was given up."""
