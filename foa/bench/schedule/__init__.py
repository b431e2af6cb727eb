"""``foa bench schedule``: recorded workflows through the production machines in virtual time, and what a plan costs."""
