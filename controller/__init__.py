"""Process 1: hears the world, decides whether to open a run, and sends what is due to the workers."""
