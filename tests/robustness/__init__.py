"""Black-box tests of hostile and broken bodies (conformance N1-N20)."""
