"""What believing nobody costs: seals and refusals a frame, and tasks of a sealed federation beside a bare one."""
