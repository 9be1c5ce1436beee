"""What every HTTP service shares: problem documents, request bodies, replies, OpenAPI. It knows no route."""
