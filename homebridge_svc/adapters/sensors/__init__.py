"""Thermometers and other sensors."""
