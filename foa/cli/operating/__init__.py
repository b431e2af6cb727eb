"""What operators do with a running federation: who is there, who owns what, and who is to leave."""
