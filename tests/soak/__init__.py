"""Hours in minutes: half load with faults injected, every answer held against the decision that is due."""
