"""The second client behind the bus port, on the library aiomqtt and the paho client inside it.

`broker.client = "aiomqtt"` chooses it. It is there for those who want a client that many others use, and should
the codec of our own ever be abandoned; it shares no line with `foa.bus.mqtt`. What aiomqtt offers is used:
connecting, the sockets in the loop, keep-alive, subscribing, the end of a connection. Where it offers no way,
the paho client beneath it (`Client._client`) is asked, and the place says why.
"""
