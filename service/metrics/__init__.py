"""What is measured of the service, for Prometheus: counted here, or read when somebody asks."""
