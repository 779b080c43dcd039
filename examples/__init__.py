"""Programs that show Boatyard at work; each is run by a test."""
