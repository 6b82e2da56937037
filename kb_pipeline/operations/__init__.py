"""What a person asks for now and then: status, plan, search, verify, upkeep, quarantine, doctor, alerts."""
