"""``foa bench bus``: the embedded broker beside a tuned Mosquitto, and our client beside aiomqtt."""
