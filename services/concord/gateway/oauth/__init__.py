"""OAuth 2 and OpenID Connect over HTTP, for every organization and in no vendor's words."""

from concord.gateway.oauth.surface import OAuthSurface

__all__ = ["OAuthSurface"]
