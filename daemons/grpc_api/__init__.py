"""grpc-api: answers gRPC calls by asking the command API and the query API; knows no rule of the business by itself."""
