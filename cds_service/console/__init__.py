"""Pages for people who meet the service: what it is, and what each rule says, by which numbers and from which sources."""
