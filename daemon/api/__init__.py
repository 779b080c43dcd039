"""The Docker Engine API: decode, call, encode. No decisions about containers are made here."""
