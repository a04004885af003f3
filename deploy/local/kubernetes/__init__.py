"""A small Kubernetes API with state and a kubelet that answers from recorded nodes."""
