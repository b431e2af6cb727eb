"""The embedded broker: MQTT 5 at QoS 0 and 1 for one machine, a sans-I/O `machine.Broker` in a thin server.

It announces in its CONNACK only what it does. `foa up` and `foa broker` run it as a child process
(``python -m foa.bus.mqtt.broker``), `foa.bus.memory` runs its machine without sockets.
"""
