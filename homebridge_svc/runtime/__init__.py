"""asyncio helpers without policy."""
