"""The same training step written with other means."""
