"""How secrets are drawn, hashed, sealed, compared and signed with. Nothing here knows the store."""
