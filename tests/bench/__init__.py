"""What one answer costs, beside a bare Flask view on the same server: ``python -m tests.bench``."""
