"""A stage for the product: an AWS emulator, a base image, two tenants' accounts and a scratch repository."""
