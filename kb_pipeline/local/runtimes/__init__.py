"""What turns texts into vectors on this machine: onnxruntime for all-MiniLM-L6-v2, torch for any other model."""
