"""Arms, what is kept, and the way back, in a Kubernetes cluster."""
