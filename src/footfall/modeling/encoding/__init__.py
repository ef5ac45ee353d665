"""The encoder, fitted without labels, and the features that it writes."""
