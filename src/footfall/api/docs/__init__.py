"""The API's own description: OpenAPI and its page."""
