"""Commands: what somebody wants done, understood from a model's stream or from sentence templates, and carried out."""
