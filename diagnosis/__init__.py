"""Diagnosis before search: which layer is the bottleneck, on what evidence, and whether tuning could help at all."""
