"""footfall task report: as text, as charts, as a page."""
