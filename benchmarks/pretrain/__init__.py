"""What encoders are trained on, and how."""
