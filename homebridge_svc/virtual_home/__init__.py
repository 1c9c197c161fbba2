"""Emulators on 127.0.0.0/8 that speak the real wires, for demo and tests."""
