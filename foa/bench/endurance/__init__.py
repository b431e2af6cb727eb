"""What a federation bears: a flood of hostile messages beside honest work, and hours of steady work."""
