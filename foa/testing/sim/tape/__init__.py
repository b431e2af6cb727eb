"""What a live federation said: `file` writes and reads it, `replay` runs it again."""
