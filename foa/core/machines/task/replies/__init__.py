"""What agents answer: one alone, or a team that has to come to one answer."""
