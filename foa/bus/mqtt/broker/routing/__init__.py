"""Who gets what: the router, the retained messages, and the groups of shared subscriptions."""
