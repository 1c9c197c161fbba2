"""What the daemon supports, seen at a glance: one file each, with options, class and registration."""
