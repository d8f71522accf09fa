"""Automatic retouching by lookup tables (ICELUT)."""
