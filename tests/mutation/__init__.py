"""Do the tests notice a wrong clinical rule? ``python -m tests.mutation --minutes N``."""
