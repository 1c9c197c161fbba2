"""Codecs, bytes to dataclasses and back; no sockets."""
