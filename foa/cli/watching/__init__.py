"""A task as people watch it: `picture` gathers what is known, `screen` draws it."""
