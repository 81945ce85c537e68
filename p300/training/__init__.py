"""How a network learns: PyTorch Lightning, without Hydra."""
