"""What the federation of a run works at: the agents, the tasks, the processes that submit them, and what they tell."""
