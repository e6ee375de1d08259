"""One file a server, run in its own environment: `python -m peers.serving.servers.NAME MODEL PORT GRPC_PORT FOLDER`."""
