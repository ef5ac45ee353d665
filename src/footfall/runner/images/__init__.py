"""What the image of a command is made of, and how a container engine's becomes a directory."""
