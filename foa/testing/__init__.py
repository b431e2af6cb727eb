"""The test kit: whole federations in virtual time, with scripted agents and seeded faults.

`world` runs the production driver, machines and bytes over `foa.bus.memory`; `agents` are handlers that are slow,
fail, fall silent or lie on command; `sim` runs seeds and holds what `invariants` says.
"""
