"""The commands of compute: runs and their outputs, projects, storage, images, volumes, keys."""
