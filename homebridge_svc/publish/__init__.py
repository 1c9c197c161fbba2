"""What the daemon tells the world over MQTT."""
