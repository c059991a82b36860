"""Identity: organizations, projects, users and applications."""
