"""Sampled candidates of every preset that has a server here: do they start in their memory, and bear their load?"""
