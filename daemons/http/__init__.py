"""What every HTTP service shares: problem documents, request bodies, replies and OpenAPI. No route is defined here."""
