"""The recirculation pump: cycle and pipe physics."""
