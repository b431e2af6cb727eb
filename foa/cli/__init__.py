"""The command line, and the two calls that scripts make of it (`foa.run`, `foa.submit`).

Modules import what is heavy inside their commands, so that ``foa --help`` answers at once.
"""
