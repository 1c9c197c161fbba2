"""Smart plugs, relays and sockets."""
