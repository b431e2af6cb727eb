"""Third-party libraries behind our own interfaces: indices, embedders, models, files."""
