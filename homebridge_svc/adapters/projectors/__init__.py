"""Channels to a projector."""
