"""Kernels compiled for x86-64-v2, or for the baseline of any other processor."""
