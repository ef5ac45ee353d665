"""Where objects live: a directory or an S3 service, behind one seam."""
