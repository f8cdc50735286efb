"""The values every other layer speaks in: frozen, picklable, free of third-party imports."""
