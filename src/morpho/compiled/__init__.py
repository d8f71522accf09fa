"""Loops compiled by Numba, kept between runs, and used again without Numba."""
