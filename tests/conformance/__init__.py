"""Black-box tests of the CDS Hooks contract: HTTP in, HTTP out, written from the documents."""
