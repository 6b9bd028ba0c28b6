"""Protocol probes that any CDS Hooks service can be asked, by the requirement that each one tries."""
