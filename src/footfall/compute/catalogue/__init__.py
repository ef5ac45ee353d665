"""Server products, images, image registries and SSH keys."""
