"""Pure decisions: values, functions over them, and machines. No clock, no I/O, no logging."""
