"""Infrared transmitters."""
