"""What callers own: responses, their items and events, and conversations, in the database."""
