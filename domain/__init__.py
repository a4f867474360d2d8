"""The language and the rules of Trimtab. Standard library only: no I/O, no clock, no chance of its own."""
