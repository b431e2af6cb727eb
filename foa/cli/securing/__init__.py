"""A secured federation in one go: ``foa broker init``, accounts, and what ``foa up --secure`` runs on."""
