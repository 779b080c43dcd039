"""The checks, grouped as Docker groups them; `create/validate` has the table of all."""
