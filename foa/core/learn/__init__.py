"""Learning who does what well: rewards become sums that add across nodes, and from the sums comes a hybrid LinUCB."""
