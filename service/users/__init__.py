"""Users and their keys: who may use the service, and as what."""
