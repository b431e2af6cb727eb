"""Fuzzing: what nobody honest would send, thrown at decoders, at the MQTT machines and at a whole federation.

By chance or led by coverage: ``python -m foa.testing.fuzzing``. What must hold of all of them: no exception but those
a decoder is documented to raise, no step of a machine that fails, memory and time within their caps.
"""
