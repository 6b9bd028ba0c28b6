"""The knowledge of this service in forms that other tools read: FHIR, CQL, CSV."""
