"""The only floor that knows MQTT: the port, our client and broker, and the in-memory bus."""
