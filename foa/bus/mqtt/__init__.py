"""MQTT 5 over the `mqtt5` codec: the client machine, its asyncio shell, and below `broker` the other end."""
