"""Properties that hold for any body, made by hypothesis."""
