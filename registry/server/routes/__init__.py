"""What is asked over HTTP, and answered. Only this room knows HTTP."""
