"""Build a container image once, release it to every tenant's own ECS environment."""
