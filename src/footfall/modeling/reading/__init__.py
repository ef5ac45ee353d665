"""From bytes of files to checked lines and histories of users."""
