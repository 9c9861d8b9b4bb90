"""The management REST API: what the admin does, for programs. docs/management-api.md describes it."""
