"""Who is let through to Django's part, in which turn, and how much of it one caller may hold."""
