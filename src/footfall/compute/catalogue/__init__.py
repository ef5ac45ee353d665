"""What a run may ask for: products, images, registries, SSH keys."""
