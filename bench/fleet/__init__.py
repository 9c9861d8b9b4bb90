"""A fleet of scripted servers with prefix caches, and who spreads a trace of chats over it best."""
