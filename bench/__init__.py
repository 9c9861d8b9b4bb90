"""What Aurora costs: `make bench` compares it with a bare upstream and with LiteLLM's proxy."""
