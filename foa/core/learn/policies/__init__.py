"""Who decides among the permitted: the learner that runs, and what it has to beat, behind one interface."""
