"""/nsml/v1: the contract of CLOVA NSML."""
