"""Pictures: reading, writing, resizing, measuring."""
